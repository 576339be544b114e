// istio.v1.auth.IstioCertificateService on a gRPC server: metadata in, status codes out.
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type handleUnaryCall,
  type Server,
  type ServerUnaryCall,
  type ServiceDefinition,
  type StatusObject,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { plainPeer } from '../config/peer-address.ts';
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from '../protos/gen/istio/ca_pb.js';
import type { CallerFacts } from './caller.ts';
import { type CertificateAuthorityOptions, createCertificate } from './create-certificate.ts';
import type { CallBegan } from './metrics.ts';

export interface CertificateServiceOptions extends CertificateAuthorityOptions {
  /** Whether this server's ports use TLS; without, nobody is authenticated. */
  readonly secure: boolean;
  /** Requests in work at once; more are answered UNAVAILABLE, which clients retry later. */
  readonly mostPending: number;
  /** Hears of calls, for metrics. */
  readonly callBegan?: CallBegan;
  /** Tells of a refused request: reason for the log, without secrets. */
  readonly onFailure: (failure: { readonly status: string; readonly reason: string; readonly peer: string }) => void;
}

type Call = ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>;

const path = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

/** The service's gRPC definition. */
export const certificateServiceDefinition = {
  createCertificate: {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (request: IstioCertificateRequest) =>
      Buffer.from(toBinary(IstioCertificateRequestSchema, request)),
    requestDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateRequestSchema, bytes),
    responseSerialize: (response: IstioCertificateResponse) =>
      Buffer.from(toBinary(IstioCertificateResponseSchema, response)),
    responseDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateResponseSchema, bytes),
  },
} satisfies ServiceDefinition;

/** The service, to be added to a server that may serve others on the same port. */
export function certificateService(options: CertificateServiceOptions): {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
} {
  let pending = 0;
  const handle: handleUnaryCall<IstioCertificateRequest, IstioCertificateResponse> = (call, send) => {
    const counted = options.callBegan?.(path);
    counted?.received();
    const reply = (result: IstioCertificateResponse | Partial<StatusObject>): void => {
      const isAnswer = 'certChain' in result;
      if (isAnswer) counted?.sent();
      counted?.ended(isAnswer ? 'OK' : (status[result.code ?? status.UNKNOWN] ?? 'UNKNOWN'));
      if (isAnswer) send(null, result);
      else send(result);
    };
    if (pending >= options.mostPending) {
      reply({ code: status.UNAVAILABLE, details: 'too many requests at once' });
      return;
    }
    pending += 1;
    void answer(call, options)
      .then(reply)
      .finally(() => {
        pending -= 1;
      });
  };
  return { definition: certificateServiceDefinition, implementation: { createCertificate: handle } };
}

/** Adds the service to a server. */
export function addCertificateService(server: Server, options: CertificateServiceOptions): void {
  const { definition, implementation } = certificateService(options);
  server.addService(definition, implementation);
}

/** What a gRPC call shows of its caller. */
export function callerFactsOf(
  call: Pick<Call, 'metadata' | 'getPeer' | 'getAuthContext'>,
  secure: boolean,
): CallerFacts {
  const texts = (key: string) => call.metadata.get(key).map(String);
  // grpc-js shows the certificate only where TLS verified its chain against the server's roots.
  const peerCertificate = secure ? call.getAuthContext().sslPeerCertificate?.raw : undefined;
  const [clusterId] = texts('clusterid');
  return {
    secure,
    ...(peerCertificate === undefined ? {} : { peerCertificate }),
    authorization: texts('authorization'),
    ...(clusterId === undefined ? {} : { clusterId }),
    remoteAddress: plainPeer(call.getPeer()),
    forwardedClientCert: texts('x-forwarded-client-cert'),
  };
}

async function answer(
  call: Call,
  options: CertificateServiceOptions,
): Promise<IstioCertificateResponse | Partial<StatusObject>> {
  const facts = callerFactsOf(call, options.secure);
  const { csr, validityDuration, metadata } = call.request;
  const impersonated = metadata?.['ImpersonatedIdentity'];
  const request = {
    csr,
    validityDuration,
    ...(typeof impersonated === 'string' ? { impersonatedIdentity: impersonated } : {}),
  };
  const reply = await createCertificate(request, facts, options);
  if (reply.kind === 'issued') {
    return { $typeName: 'istio.v1.auth.IstioCertificateResponse', certChain: [...reply.certChain] };
  }
  options.onFailure({ status: reply.status, reason: reply.reason, peer: facts.remoteAddress ?? 'unknown' });
  return { code: status[reply.status], details: reply.message };
}
