// Where something runs: region, zone and sub-zone.

/** Region, zone and sub-zone; empty where unknown. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** The locality of which nothing is known. */
export const unknownLocality: Locality = Object.freeze({ region: '', zone: '', subzone: '' });

/** Reads `region/zone/subzone` (or the label form with dots); missing parts are empty. */
export function parseLocality(text: string): Locality {
  const [region = '', zone = '', subzone = ''] = (text.includes('/') ? text.split('/') : text.split('.')).map((part) =>
    part.trim(),
  );
  return { region, zone, subzone };
}
