import { exportJWK, generateKeyPair } from 'jose';
import { expect } from 'vitest';
import type { FromDataPlane, Hello } from '../../../shared/cluster/messages.ts';
import { type NodeKey, proveNode, SESSION_HEADER } from '../../../shared/cluster/node-proof.ts';
import { TELEMETRY_CHALLENGE, TELEMETRY_PATHS } from '../../../shared/telemetry/messages.ts';
import { type ClientTls, call, hello, sharedClient, TestLink } from './control-plane.ts';

/** A data plane with a key pair of its own, as each makes one; its hellos are proved. */
export class KnownNode {
  readonly id: string;
  readonly tls: ClientTls;
  readonly #key: NodeKey;

  private constructor(id: string, tls: ClientTls, key: NodeKey) {
    this.id = id;
    this.tls = tls;
    this.#key = key;
  }

  /** `id` may be that of another one. */
  static async create(id: string = crypto.randomUUID(), tls: ClientTls = sharedClient): Promise<KnownNode> {
    const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    const { x = expect.fail('no public key') } = await exportJWK(privateKey);
    return new KnownNode(id, tls, { x, privateKey });
  }

  /** The same with another certificate. */
  withCertificate(tls: ClientTls): KnownNode {
    return new KnownNode(this.id, tls, this.#key);
  }

  get key(): string {
    return this.#key.x;
  }

  /** A hello that answers the challenge; `from`: the hello it is a part of. */
  async hello(challenge: string, from: Hello = hello({ id: this.id })): Promise<Hello> {
    const { nonce = expect.fail('a hello without a nonce') } = from;
    return { ...from, proof: await proveNode({ node: this.id, nonce, challenge }, this.#key) };
  }

  /** Connects and says hello. */
  async connect(port: number): Promise<TestLink> {
    const link = await TestLink.open(port, this.tls);
    link.say(await this.hello(link.challenge));
    return link;
  }

  /** Shows at a telemetry port whose it is; `domain` stands before the challenge in what it signs. */
  async tells(
    port: number,
    domain = TELEMETRY_CHALLENGE,
  ): Promise<{ readonly status: number; readonly session: string }> {
    const asked = await call(port, TELEMETRY_PATHS.challenge, { tls: this.tls });
    const { challenge } = JSON.parse(asked.body.toString());
    const nonce = crypto.randomUUID();
    const proof = await proveNode({ node: this.id, nonce, challenge: domain + challenge }, this.#key);
    const { status, body } = await call(port, `${TELEMETRY_PATHS.session}?node=${this.id}`, {
      tls: this.tls,
      method: 'POST',
      body: JSON.stringify({ nonce, proof }),
    });
    return { status, session: status === 200 ? JSON.parse(body.toString()).session : '' };
  }

  /** Says something over HTTPS. */
  say(port: number, message: FromDataPlane, session?: string): ReturnType<typeof call> {
    return call(port, `/v1/status?node=${this.id}`, {
      tls: this.tls,
      method: 'POST',
      body: JSON.stringify(message),
      headers: session === undefined ? {} : { [SESSION_HEADER]: session },
    });
  }

  /** Says hello over HTTPS; gives the status, and the session where there is one. */
  async greet(port: number): Promise<{ readonly status: number; readonly session: string; readonly text: string }> {
    const asked = await call(port, '/v1/challenge', { tls: this.tls });
    const { challenge } = JSON.parse(asked.body.toString());
    const { status, body } = await this.say(port, await this.hello(challenge));
    const text = body.toString();
    return { status, session: status === 200 ? JSON.parse(text).session : '', text };
  }
}
