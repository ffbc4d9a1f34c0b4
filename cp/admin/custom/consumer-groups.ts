import type { AdminRoute } from '../route.ts';
export function consumerGroupRoutes(): AdminRoute[] {
  return [];
}
