import { KongError } from '../../../shared/schema/errors.ts';
import { type AdminRoute, mapOperation } from '../route.ts';

/**
 * PUT says what is to be, so that the same from several clients at once must succeed for all of them. The one that comes
 * second may find out only at its write that the row is there: then it is gone about once more, and replaces that row.
 */
export function repeatingPut(route: AdminRoute): AdminRoute {
  return mapOperation(route, 'PUT', (operation) => ({
    ...operation,
    async handle(call) {
      try {
        return await operation.handle(call);
      } catch (error) {
        if (!(error instanceof KongError && error.status === 409)) throw error;
        return operation.handle(call);
      }
    },
  }));
}
