// Resources that belong to one stream's identity instead of its class: certificates of proxies without an agent.
import { parseCredentialName } from '../../config/credential-name.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { EncodedResource } from '../resource.ts';
import type { ResourceType } from '../xds-types.ts';
import type { Identity } from './caller.ts';

/** Who a stream speaks for, once its first request was checked. */
export interface StreamOwner {
  readonly proxy: Proxy;
  /** Absent on the plaintext port: nothing secret may be given. */
  readonly identity?: Identity;
}

/** Resources of one stream alone. They may appear and change at any time. */
export interface OwnResources {
  /** Whether the name belongs here and not to the class; asked before `get`. */
  readonly serves: (type: ResourceType, name: string) => boolean;
  /** The present resource; undefined while there is none, which the client is told nothing of. */
  readonly get: (type: ResourceType, name: string) => EncodedResource | undefined;
  /** The client accepted this resource, here or at another server, so that what it replaced may be retired. */
  readonly acknowledged?: (type: ResourceType, resource: EncodedResource) => void;
  /** Ends notifications; called once, when the stream ends. */
  readonly close: () => void;
}

/** A version that a client brings along from another stream. */
export interface Brought {
  readonly type: ResourceType;
  readonly name: string;
  readonly version: string;
}

/**
 * What a client brings along it has accepted elsewhere. Where that is the present resource it is not sent, and so never
 * acknowledged: it counts as accepted now. Gives what cannot be judged yet.
 */
export function acceptBrought(own: OwnResources, brought: readonly Brought[]): readonly Brought[] {
  return brought.filter(({ type, name, version }) => {
    if (!own.serves(type, name)) return false;
    const resource = own.get(type, name);
    if (resource?.version === version) own.acknowledged?.(type, resource);
    return resource === undefined;
  });
}

/** Opens a stream's own resources; `changed` is to be called with the names whose resource became another. */
export type OpenOwnResources = (
  owner: StreamOwner,
  changed: (type: ResourceType, names: readonly string[]) => void,
) => OwnResources | undefined;

/** Decides whether a stream may be given a secret that its class refers to. `name` is the requested resource name. */
export type AuthorizeSecret = (owner: StreamOwner, name: string) => boolean;

/**
 * The rule where none is passed in: only identified callers, and only secrets of their own namespace
 * (`kubernetes://name`, `kubernetes://ns/name`, `kubernetes-gateway://ns/name`, `configmap://ns/name`).
 */
export const ownNamespaceOnly: AuthorizeSecret = ({ identity, proxy }, name) =>
  identity !== undefined && parseCredentialName(name, proxy.namespace)?.namespace === identity.namespace;
