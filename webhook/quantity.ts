// Kubernetes resource quantities in their canonical form: the API server stores `2000m` as `2` and `1024Mi` as `1Gi`.

const decimal = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'] as const;
const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const;

/**
 * The canonical text of a quantity (Kubernetes' resource.Quantity); undefined where the text is none. Precision below
 * a nano unit is rounded up, as Kubernetes does.
 */
export function canonicalQuantity(text: string | number): string | undefined {
  const match =
    /^([+-]?)(\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d{1,2})?$/.exec(
      String(text).trim(),
    );
  if (match === null) return undefined;
  const [, sign = '', digits = '', suffix = ''] = match;
  const nano = nanoOf(digits, suffix);
  if (nano === undefined) return undefined;
  const minus = sign === '-' && nano !== 0n ? '-' : '';
  if (/^[eE]/.test(suffix)) return minus + exponentText(nano);
  const isBinary = suffix.endsWith('i') && nano % 1_000_000_000n === 0n && nano >= 1024n * 1_000_000_000n;
  return minus + (isBinary ? binaryText(nano / 1_000_000_000n) : decimalText(nano));
}

function nanoOf(digits: string, suffix: string): bigint | undefined {
  const [whole = '', fraction = ''] = digits.split('.');
  let value = BigInt(`${whole}${fraction}` || '0');
  let divisor = 10n ** BigInt(fraction.length);
  const exponent = /^[eE]/.test(suffix) && suffix.length > 1 ? Number(suffix.slice(1)) : undefined;
  if (exponent !== undefined) {
    if (exponent >= 0) value *= 10n ** BigInt(exponent);
    else divisor *= 10n ** BigInt(-exponent);
    value *= 1_000_000_000n;
  } else if (suffix.endsWith('i')) {
    value *= 1024n ** BigInt(binary.indexOf(suffix as (typeof binary)[number])) * 1_000_000_000n;
  } else {
    value *= 1000n ** BigInt(decimal.indexOf(suffix as (typeof decimal)[number]));
  }
  return (value + divisor - 1n) / divisor;
}

function decimalText(nano: bigint): string {
  if (nano === 0n) return '0';
  let value = nano;
  let unit = 0;
  while (value % 1000n === 0n && unit < decimal.length - 1) {
    value /= 1000n;
    unit++;
  }
  return `${value}${decimal[unit] ?? ''}`;
}

function binaryText(units: bigint): string {
  let value = units;
  let unit = 0;
  while (value % 1024n === 0n && unit < binary.length - 1) {
    value /= 1024n;
    unit++;
  }
  return `${value}${binary[unit] ?? ''}`;
}

function exponentText(nano: bigint): string {
  if (nano === 0n) return '0';
  let value = nano;
  let exponent = -9;
  while (value % 1000n === 0n) {
    value /= 1000n;
    exponent += 3;
  }
  return exponent === 0 ? `${value}` : `${value}e${exponent}`;
}

/** A container's `resources` with its quantities in canonical form; what is no quantity stays as it is. */
export function canonicalResources(resources: { readonly [key: string]: unknown }): {
  readonly [key: string]: unknown;
} {
  const result: Record<string, unknown> = { ...resources };
  for (const part of ['requests', 'limits']) {
    const quantities = resources[part];
    if (typeof quantities !== 'object' || quantities === null) continue;
    result[part] = Object.fromEntries(
      Object.entries(quantities)
        .filter(([, value]) => value !== null)
        .map(([name, value]) => [
          name,
          typeof value === 'string' || typeof value === 'number' ? (canonicalQuantity(value) ?? value) : value,
        ]),
    );
  }
  return result;
}
