import { get } from 'node:http';

/**
 * Asks the owner of the node's link for news, at its internal socket: nothing in workerd runs before it is asked, and the
 * owner contacts a control plane as soon as it runs. Rejects when it does not answer.
 */
export function contactLinkOwner(socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get({ socketPath, path: '/news', timeout: 10_000 }, (response) => {
      response.resume().once('end', resolve).once('error', reject);
    });
    request.once('timeout', () => request.destroy(new Error('no answer in 10 s')));
    request.once('error', reject);
  });
}
