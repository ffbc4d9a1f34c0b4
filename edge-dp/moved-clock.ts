/**
 * The clock of a data plane under test, which can be put ahead: importing this changes what `Date` tells in the isolate. Timers, alarms and
 * the runtime's own times stay the machine's.
 */
const MachineDate = Date;
let ahead = 0;

/** Puts the clock so many milliseconds ahead of the machine's. */
export function putAhead(milliseconds: number): void {
  ahead = milliseconds;
}

function MovedDate(this: unknown, ...given: []): Date | string {
  if (new.target === undefined) return new MachineDate(MovedDate.now()).toString();
  const made = given.length === 0 ? [MovedDate.now()] : given;
  return Reflect.construct(MachineDate, made, new.target);
}
MovedDate.now = (): number => MachineDate.now() + ahead;

Object.setPrototypeOf(MovedDate, MachineDate);
MovedDate.prototype = MachineDate.prototype;
Object.defineProperty(MachineDate.prototype, 'constructor', { value: MovedDate, writable: true, configurable: true });
Object.defineProperty(globalThis, 'Date', { value: MovedDate, writable: true, configurable: true });
