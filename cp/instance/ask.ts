import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';

/**
 * What a part of this machine's own instance answers to GET, within so many milliseconds. Its certificate is not asked about: it is known by
 * its address, and is for other names than that.
 */
export function askInstance(
  url: string,
  patience: number,
): Promise<{ readonly status: number; readonly text: string }> {
  const get = url.startsWith('https:') ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: patience, rejectUnauthorized: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject).once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request
      .once('error', reject)
      .once('timeout', () => request.destroy(new Error(`no answer in ${patience / 1000} s`)));
  });
}
