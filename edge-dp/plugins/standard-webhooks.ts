import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { StandardWebhooksConfig } from '../../shared/plugins/standard-webhooks.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { encodeBase64 } from '../http/base64.ts';
import type { HttpResponse } from '../http/messages.ts';
import { sameText } from './constant-time.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/**
 * Verifies that a webhook comes from who shares the secret (Standard Webhooks 1.0), as Kong does: one signature, the secret as it
 * stands, and no limit to timestamps of the future.
 */
const standardWebhooks: Plugin<StandardWebhooksConfig> = {
  name: 'standard-webhooks',
  version: KONG_VERSION,
  priority: 760,
  compile({ secret_v1, tolerance_second }) {
    const secret = utf8.encode(secret_v1);

    const verify = async (request: GatewayRequest, { id, timestamp, signature }: WebhookHeaders) => {
      const payload = await request.body.read(BODY_LIMIT);
      if (payload === null) return request.error(413, `A webhook's signature is verified up to ${BODY_LIMIT} bytes`);
      if (payload.length === 0) return refused(request);
      const due = hmac
        .create(sha256, secret)
        .update(utf8.encode(`${id}.${timestamp}.`))
        .update(payload)
        .digest();
      return sameText(`v1,${encodeBase64(due)}`, signature) ? undefined : refused(request);
    };

    return {
      access(request) {
        const headers = readHeaders(request);
        if (headers === null || Date.now() / 1000 - Number(headers.timestamp) > tolerance_second)
          return refused(request);
        return request.body.length === 0 ? refused(request) : verify(request, headers);
      },
    };
  },
};

export default standardWebhooks;

/** Webhooks are small; they are held in memory before it is known who sent them. */
const BODY_LIMIT = 1 << 20;

const utf8 = new TextEncoder();

interface WebhookHeaders {
  readonly id: string;
  /** Unix seconds, in digits. */
  readonly timestamp: string;
  readonly signature: string;
}

/** Null where one is missing, or the timestamp is none. */
function readHeaders({ headers }: GatewayRequest): WebhookHeaders | null {
  const id = headers.get('webhook-id');
  const timestamp = headers.get('webhook-timestamp');
  const signature = headers.get('webhook-signature');
  if (id === null || timestamp === null || signature === null || !/^\d+$/.test(timestamp)) return null;
  return { id, timestamp, signature };
}

/** For whatever reason: who forges webhooks learns nothing. */
function refused(request: GatewayRequest): HttpResponse {
  return request.error(400);
}
