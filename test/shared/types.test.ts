import { expectTypeOf, test } from 'vitest';
import type { keyauthCredentials } from '../../shared/entities/keyauth_credentials.ts';
import type { routes } from '../../shared/entities/routes.ts';
import type { services } from '../../shared/entities/services.ts';
import type { CorrelationIdConfig } from '../../shared/plugins/correlation-id.ts';
import type { Entity } from '../../shared/schema/vocabulary.ts';

type Service = Entity<typeof services>;
type Route = Entity<typeof routes>;
type KeyauthCredential = Entity<typeof keyauthCredentials>;

test('row types follow from the tables of fields', () => {
  expectTypeOf<Service['port']>().toEqualTypeOf<number>();
  expectTypeOf<Service['retries']>().toEqualTypeOf<number | null>();
  expectTypeOf<Service['id']>().toEqualTypeOf<string>();
  expectTypeOf<Service['tags']>().toEqualTypeOf<string[] | null>();
  expectTypeOf<Service['client_certificate']>().toEqualTypeOf<{ id: string } | null>();
  expectTypeOf<Service['enabled']>().toEqualTypeOf<boolean>();
  expectTypeOf<Route['path_handling']>().toEqualTypeOf<'v0' | 'v1' | null>();
  expectTypeOf<Route['headers']>().toEqualTypeOf<Record<string, string[]> | null>();
  expectTypeOf<KeyauthCredential['consumer']>().toEqualTypeOf<{ id: string }>();
  expectTypeOf<CorrelationIdConfig['generator']>().toEqualTypeOf<'uuid' | 'uuid#counter' | 'tracker'>();
});
