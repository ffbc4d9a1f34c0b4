import { describe, expect, it } from 'vitest';
import { authenticator, readConsumer } from '../../../edge-dp/plugins/authentication.ts';
import { fakeRequest } from './fakes.ts';

const consumer = (name: string) => ({ id: `00000000-0000-4000-8000-${name.padStart(12, '0')}`, username: name });
const [ada, guest] = [consumer('ada'), consumer('feed')];
const rows = { consumers: { [guest.id]: [guest] } };

/** An authentication plugin that finds nobody, behind one that has found somebody or not. */
async function behind(before: 'somebody' | 'the anonymous consumer' | 'nobody', anonymous: string | null) {
  const request = fakeRequest({ rows });
  if (before === 'somebody') request.identity.authenticate(readConsumer(ada), { id: 'c', identifier: 'c' });
  if (before === 'the anonymous consumer') request.identity.authenticate(readConsumer(guest), null);
  let tried = 0;
  const access = authenticator(anonymous, () => {
    tried += 1;
    return { status: 401, message: 'nobody' };
  });
  const answer = await access(request);
  const { identity, headers } = request;
  return {
    tried,
    status: answer?.status ?? null,
    consumer: identity.consumer?.username ?? null,
    anonymous: headers.get('x-anonymous-consumer'),
  };
}

describe('an authentication plugin', () => {
  it('leaves a request alone that another has authenticated, where they are alternatives', async () => {
    expect(await behind('somebody', guest.id)).toEqual({ tried: 0, status: null, consumer: 'ada', anonymous: null });
  });

  it('still tries where another has only found nobody', async () => {
    const expected = { tried: 1, status: null, consumer: 'feed', anonymous: 'true' };
    expect(await behind('the anonymous consumer', guest.id)).toEqual(expected);
    expect(await behind('nobody', guest.id)).toEqual(expected);
  });

  it('must be content itself where they are no alternatives, whoever was found before', async () => {
    for (const before of ['somebody', 'nobody'] as const)
      expect(await behind(before, null)).toMatchObject({ tried: 1, status: 401 });
  });
});
