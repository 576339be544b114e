// How the keys of cells are told apart.
import { hash } from 'node:crypto';

const longest = 128;

/**
 * A key's text as cells keep it. A long one, such as the facets of a class of proxies as JSON, is kept as 192 bits of its
 * SHA-256: each class has half a dozen of them.
 */
export function keyText(text: string): string {
  return text.length <= longest ? text : hash('sha256', text, 'buffer').toString('base64url', 0, 24);
}
