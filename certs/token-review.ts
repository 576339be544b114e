// Asking a Kubernetes API server about a token (authentication.k8s.io/v1), over a connection that is passed in.
import type { ReviewedToken, ReviewToken } from './kubernetes-token.ts';
import { type Refusal, refused } from './refusal.ts';

/** One JSON request to the API server, with our own credentials. Rejects when there is no answer within its time. */
export type PostJson = (path: string, body: unknown) => Promise<{ readonly status: number; readonly body: unknown }>;

interface ReviewAnswer {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly error?: string;
    readonly audiences?: readonly string[];
    readonly user?: {
      readonly username?: string;
      readonly groups?: readonly string[];
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const podNameKey = 'authentication.kubernetes.io/pod-name';
const podUidKey = 'authentication.kubernetes.io/pod-uid';

/** Reviews tokens by that API server. */
export function tokenReview(post: PostJson): ReviewToken {
  return async (token, audiences) => {
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } };
    const { status, body } = await post(path, request);
    if (status !== 200 && status !== 201) {
      throw new Error(`TokenReview answered ${status}`);
    }
    return readAnswer(body as ReviewAnswer, audiences);
  };
}

function readAnswer(answer: ReviewAnswer, audiences: readonly string[]): ReviewedToken | Refusal {
  const { status } = answer;
  const user = status?.user;
  if (status?.authenticated !== true || user?.username === undefined) {
    return refused('the API server does not accept the token');
  }
  // An authenticator that knows no audiences answers without any: such a token may be meant for anybody.
  if (!(status.audiences ?? []).some((audience) => audiences.includes(audience))) {
    return refused('the token is for another audience');
  }
  const podName = user.extra?.[podNameKey]?.[0];
  const podUid = user.extra?.[podUidKey]?.[0];
  return {
    username: user.username,
    groups: user.groups ?? [],
    ...(podName === undefined ? {} : { podName }),
    ...(podUid === undefined ? {} : { podUid }),
  };
}
