// Validation as every entry does it (files, API server, webhook, commands): the schema, then the rules of the kind.
import { loadTypes } from '../protos/load-types.ts';
import { type Checked, type CheckOptions, checkObject } from './check.ts';
import { type Diagnostic, hasErrors } from './diagnostic.ts';
import { type ConfigObject, refOf } from './object.ts';
import { typesNamedBy } from './rules/envoy-filter.ts';
import { findingsOf, type RuleContext } from './rules/rules.ts';

/** How an object is read, and what its rules may look into. */
export type ValidateOptions = CheckOptions & RuleContext;

/** Reads a JSON value as an object and checks it; `object` is absent where there are errors. Never throws. */
export function validate(raw: unknown, options: ValidateOptions = {}): Checked {
  return withRules(checkObject(raw, options), options);
}

/**
 * The same as the webhook does it: without a word about fields that the schema lacks (the API server has pruned them),
 * and with a look into an EnvoyFilter's values, for which the types that it names are loaded.
 */
export async function validateAdmitted(raw: unknown): Promise<Checked> {
  const options: CheckOptions = { unknown: 'ignore' };
  const checked = checkObject(raw, options);
  if (checked.object?.kind !== 'EnvoyFilter') return withRules(checked, options);
  return withRules(checked, { ...options, envoyTypes: await loadTypes(typesNamedBy(checked.object)) });
}

function withRules(checked: Checked, options: ValidateOptions): Checked {
  if (checked.object === undefined) return checked;
  const object: ConfigObject = checked.object;
  const found = findingsOf(checked.object, options).map((finding) => ({ ...finding, object: refOf(object) }));
  const diagnostics = [...checked.diagnostics, ...found.slice(0, options.maxFindings ?? 100)];
  return hasErrors(found) ? { diagnostics } : { object: checked.object, diagnostics };
}

/** The findings about a JSON value; empty where it is a sound object. Never throws. */
export function validateObject(raw: unknown, options: ValidateOptions = {}): readonly Diagnostic[] {
  return validate(raw, options).diagnostics;
}
