import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/**
 * What a part of this machine's own instance answers, within so many milliseconds; to GET, or where there is an `order`, to POST with
 * that JSON. Its certificate is not asked about: it is known by its address, and is for other names than that.
 */
export function askInstance(
  url: string,
  patience: number,
  order?: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  const said = order === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' } };
  return new Promise((resolve, reject) => {
    const request = send(url, { ...said, agent: false, timeout: patience, rejectUnauthorized: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject).once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request
      .once('error', reject)
      .once('timeout', () => request.destroy(new Error(`no answer in ${patience / 1000} s`)))
      .end(order);
  });
}
