// Changes to headers, and the new host that is written as a header named `:authority` or `host`.
import { create } from '@bufbuild/protobuf';
import type { HeaderOperations, Headers } from '../../../../config/kinds/virtual-service.ts';
import { compareText } from '../../../../config/object.ts';
import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction,
  HeaderValueOptionSchema,
} from '../../../../protos/gen/envoy/config/core/v3/base_pb.js';
import { headerValue } from './header-value.ts';

/** Header changes in Envoy's fields; the same names in Route, ClusterWeight and others. */
export interface HeaderChanges {
  readonly requestHeadersToAdd: HeaderValueOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: HeaderValueOption[];
  readonly responseHeadersToRemove: string[];
}

/** Translates header changes: values that overwrite before values that are added, each by name. */
export function headerChanges(headers: Headers | undefined): HeaderChanges {
  return {
    requestHeadersToAdd: added(headers?.request),
    requestHeadersToRemove: (headers?.request?.remove ?? []).filter((name) => !isInternal(name)),
    responseHeadersToAdd: added(headers?.response),
    responseHeadersToRemove: (headers?.response?.remove ?? []).filter((name) => !isInternal(name)),
  };
}

/** The host that header changes ask for; undefined for none. */
export function authorityOf(headers: Headers | undefined): string | undefined {
  for (const values of [headers?.request?.set, headers?.request?.add]) {
    const found = sorted(values).find(([name]) => isAuthority(name));
    if (found !== undefined && found[1] !== '') return found[1];
  }
  return undefined;
}

/** Joins two sets of changes, the first standing first. */
export function joinHeaderChanges(a: HeaderChanges, b: HeaderChanges): HeaderChanges {
  return {
    requestHeadersToAdd: [...a.requestHeadersToAdd, ...b.requestHeadersToAdd],
    requestHeadersToRemove: [...a.requestHeadersToRemove, ...b.requestHeadersToRemove],
    responseHeadersToAdd: [...a.responseHeadersToAdd, ...b.responseHeadersToAdd],
    responseHeadersToRemove: [...a.responseHeadersToRemove, ...b.responseHeadersToRemove],
  };
}

function added(operations: HeaderOperations | undefined): HeaderValueOption[] {
  const { APPEND_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS_OR_ADD } = HeaderValueOption_HeaderAppendAction;
  return [
    ...sorted(operations?.set).map((entry) => ({ entry, appendAction: OVERWRITE_IF_EXISTS_OR_ADD })),
    ...sorted(operations?.add).map((entry) => ({ entry, appendAction: APPEND_IF_EXISTS_OR_ADD })),
  ]
    .filter(({ entry }) => !isInternal(entry[0]))
    .map(({ entry: [key, value], appendAction }) =>
      create(HeaderValueOptionSchema, { header: { key, value: headerValue(value) }, appendAction }),
    );
}

function sorted(values: Readonly<Record<string, string>> | undefined): readonly (readonly [string, string])[] {
  return Object.entries(values ?? {}).sort(([a], [b]) => compareText(a, b));
}

/** Envoy refuses to change pseudo headers and Host by these fields. */
function isInternal(name: string): boolean {
  return name.startsWith(':') || isAuthority(name);
}

function isAuthority(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === 'host' || lower === ':authority';
}
