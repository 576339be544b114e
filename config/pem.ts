// PEM (RFC 7468): bounded, linear-time reading of blocks, and writing them; a bad block does not spoil the others.

export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY`, … */
  readonly label: string;
  readonly der: Buffer;
}

export interface PemContent {
  readonly blocks: readonly PemBlock[];
  /** Why each unreadable block was left out; never contains the block's content. */
  readonly problems: readonly string[];
}

export interface PemLimits {
  /** In characters; a longer text is not looked at. */
  readonly size: number;
  readonly blocks: number;
}

const defaultLimits: PemLimits = { size: 1024 * 1024, blocks: 1000 };
const begin = '-----BEGIN ';
const dashes = '-----';

/** Reads all blocks. Text between blocks is ignored, as RFC 7468 section 2 allows. */
export function parsePem(text: string, limits: PemLimits = defaultLimits): PemContent {
  if (text.length > limits.size) {
    return { blocks: [], problems: [`the PEM text is longer than ${limits.size} characters`] };
  }
  const blocks: PemBlock[] = [];
  const problems: string[] = [];
  let at = text.indexOf(begin);
  for (let count = 1; at !== -1; count++) {
    if (count > limits.blocks) {
      problems.push(`there are more than ${limits.blocks} PEM blocks`);
      break;
    }
    const block = readBlock(text, at);
    if (typeof block.value === 'string') {
      problems.push(`PEM block ${count} ${block.value}`);
    } else {
      blocks.push(block.value);
    }
    at = text.indexOf(begin, block.next);
  }
  return { blocks, problems };
}

/** One block as text, 64 characters a line, with a final newline. */
export function formatPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `${begin}${label}${dashes}\n${lines.join('\n')}\n-----END ${label}${dashes}\n`;
}

function readBlock(text: string, at: number): { readonly value: PemBlock | string; readonly next: number } {
  const labelStart = at + begin.length;
  const labelEnd = text.indexOf(dashes, labelStart);
  const label = labelEnd === -1 ? '' : text.slice(labelStart, labelEnd);
  if (!/^[A-Z0-9 ]{1,64}$/.test(label)) {
    return { value: 'has no proper BEGIN line', next: labelStart };
  }
  const bodyStart = labelEnd + dashes.length;
  const end = `-----END ${label}${dashes}`;
  // Looked for only up to the next BEGIN: many blocks without an end must not each search the whole text.
  const nextBegin = text.indexOf(begin, bodyStart);
  const rest = text.slice(bodyStart, nextBegin === -1 ? undefined : nextBegin);
  const length = rest.indexOf(end);
  if (length === -1) {
    return { value: 'has no END line', next: bodyStart };
  }
  const bodyEnd = bodyStart + length;
  const next = bodyEnd + end.length;
  const body = text.slice(bodyStart, bodyEnd).replace(/[ \t\r\n]/g, '');
  if (body.includes(':')) {
    return { value: 'is encrypted or has headers', next };
  }
  if (body.length === 0 || body.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(body)) {
    return { value: 'is not base64', next };
  }
  return { value: { label, der: Buffer.from(body, 'base64') }, next };
}
