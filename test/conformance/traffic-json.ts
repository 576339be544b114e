// Looking into resources as protojson, where absent means empty.
import type { ResourceJson } from '../../discovery/dump.ts';

/** An object of a resource; empty where it is absent. */
export function member(resource: ResourceJson, field: string): ResourceJson {
  const value = resource[field];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as ResourceJson) : {};
}

/** A list of objects of a resource; empty where it is absent. */
export function list(resource: ResourceJson, field: string): readonly ResourceJson[] {
  const value = resource[field];
  return Array.isArray(value) ? (value as readonly ResourceJson[]) : [];
}

/** A list of strings of a resource; empty where it is absent. */
export function texts(resource: ResourceJson, field: string): readonly string[] {
  const value = resource[field];
  return Array.isArray(value) ? value.map(String) : [];
}

/** A string of a resource; empty where it is absent. */
export function text(resource: ResourceJson, field: string): string {
  const value = resource[field];
  return typeof value === 'string' ? value : '';
}

/** A number of a resource; zero where it is absent. */
export function number(resource: ResourceJson, field: string): number {
  const value = resource[field];
  return typeof value === 'number' ? value : 0;
}

export function nameOf(resource: ResourceJson): string {
  return text(resource, 'name');
}
