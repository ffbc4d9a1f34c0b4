/** What a line of the Worker's log begins with that is as weighty as nginx's `notice`: `console` has no such level. */
export const NOTICE = 'notice: ';
