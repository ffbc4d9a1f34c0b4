import { expectTypeOf, test } from 'vitest';
import type { KeyauthCredential } from '../../shared/entities/keyauth_credentials.ts';
import type { Route } from '../../shared/entities/routes.ts';
import type { Service } from '../../shared/entities/services.ts';
import type { CorrelationIdConfig } from '../../shared/plugins/correlation-id.ts';

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
