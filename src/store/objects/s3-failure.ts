/** What an S3 client throws, as errors of ours that say how to put it right. */

import { GlyphpressError } from '../../errors.js';

export interface S3Place {
  bucket: string;
  /** Null for Amazon's own. */
  endpoint: string | null;
}

/** The fields of an SDK error that tell what happened. */
interface SdkError {
  name?: string;
  code?: string;
  Code?: string;
  message?: string;
  $metadata?: { httpStatusCode?: number };
  cause?: unknown;
}

const NETWORK =
  /^(E(CONN(REFUSED|RESET|ABORTED)|PIPE|HOSTUNREACH|NETUNREACH|NETDOWN|TIMEDOUT|NOTFOUND|AI_AGAIN)|UND_ERR_\w+|TimeoutError|RequestTimeout|AbortError|ERR_STREAM_PREMATURE_CLOSE)$/;
const BUSY =
  /^(SlowDown|Throttling\w*|TooManyRequests\w*|ServiceUnavailable|InternalError|OperationAborted|RequestTimeoutException|BadDigest|XAmzContentChecksumMismatch|IncompleteBody)$/;
const OTHER_REGION = /^(PermanentRedirect|AuthorizationHeaderMalformed|301)$/;
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/;

const KEYS: Record<string, string> = {
  InvalidAccessKeyId: 'does not know this access key',
  SignatureDoesNotMatch: 'says that the secret key is wrong',
  ExpiredToken: 'says that the session has expired',
  InvalidToken: 'says that the session token is not valid',
  TokenRefreshRequired: 'says that the session has expired',
};

const KEYS_HINT =
  'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), AWS_PROFILE, or give the machine a role.';

/** What an error says, in the words of a store. */
interface Told {
  codes: readonly string[];
  status: number | undefined;
  /** The store, for people. */
  at: string;
  bucket: string;
}

interface Refusal {
  message: string;
  hint: string;
}

/** The first that knows the error says what it means. */
const REFUSALS: readonly ((told: Told) => Refusal | null)[] = [
  ({ codes }) =>
    codes.includes('CredentialsProviderError')
      ? { message: 'There are no credentials for the object store', hint: KEYS_HINT }
      : null,
  ({ codes, at }) => {
    const known = codes.find((code) => Object.hasOwn(KEYS, code));
    return known ? { message: `${at} ${KEYS[known]}`, hint: KEYS_HINT } : null;
  },
  ({ codes, at, bucket }) =>
    codes.includes('NoSuchBucket')
      ? {
          message: `There is no bucket ${bucket} at ${at}`,
          hint: 'Create it, or correct --store and --store-endpoint.',
        }
      : null,
  ({ codes, at }) =>
    codes.includes('RequestTimeTooSkewed')
      ? {
          message: `The clock of this machine and that of ${at} differ by more than it allows`,
          hint: 'Set the clock, for example with NTP (timedatectl set-ntp true).',
        }
      : null,
  ({ codes, bucket }) =>
    OTHER_REGION.test(codes[0] ?? '')
      ? {
          message: `The bucket ${bucket} lies in another region`,
          hint: 'Set AWS_REGION to the region of the bucket.',
        }
      : null,
  ({ status, at, bucket }) =>
    status === 403
      ? {
          message: `${at} does not allow this on the bucket ${bucket}`,
          hint: 'Allow s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects.',
        }
      : null,
];

/** @returns null for what has nothing to do with the store, such as a full disk */
export function s3Failure(error: unknown, place: S3Place): GlyphpressError | null {
  if (error instanceof GlyphpressError) return error;
  const { name = '', message = '', $metadata } = (error ?? {}) as SdkError;
  const status = $metadata?.httpStatusCode;
  const codes = codesOf(error);
  const at = place.endpoint ?? 'Amazon S3';
  if (codes.some((code) => CERTIFICATE.test(code)))
    return refused(error, {
      message: `The certificate of ${at} is not trusted (${codes[0]})`,
      hint: 'Give its authority in NODE_EXTRA_CA_CERTS, or correct --store-endpoint.',
    });
  if (isUnavailable(codes, status)) return unavailable(error, at, codes[0] ?? name);
  for (const refusal of REFUSALS) {
    const known = refusal({ codes, status, at, bucket: place.bucket });
    if (known) return refused(error, known);
  }
  if (status === undefined) return null;
  return refused(error, {
    message: `${at} refused a request: ${status} ${name}${message && `: ${message}`}`,
    hint: 'Check --store and --store-endpoint; glyphpress doctor --store tries each kind of request.',
  });
}

/** Something to wait for. */
export function isPassing(error: GlyphpressError): boolean {
  return error.code === 'GP_STORE_UNAVAILABLE';
}

/** Whether an SDK error says that a condition of a write is not met. */
export function isConditionFailure(error: unknown): boolean {
  const codes = codesOf(error);
  return codes.includes('PreconditionFailed') || codes.includes('412');
}

export function isMissingObject(error: unknown): boolean {
  return codesOf(error).some((code) => code === 'NoSuchKey' || code === 'NotFound');
}

function isUnavailable(codes: readonly string[], status: number | undefined): boolean {
  if (
    status !== undefined &&
    ((status >= 500 && status !== 501) || status === 429 || status === 408)
  )
    return true;
  return codes.some((code) => NETWORK.test(code) || BUSY.test(code));
}

function codesOf(error: unknown): string[] {
  const { name, code, Code, $metadata, cause } = (error ?? {}) as SdkError;
  const status = $metadata?.httpStatusCode;
  const own = [Code, name, code, status === undefined ? undefined : String(status)].filter(
    (part): part is string => typeof part === 'string' && part !== 'Error',
  );
  return cause && cause !== error ? [...own, ...codesOf(cause)] : own;
}

function unavailable(cause: unknown, at: string, reason: string): GlyphpressError {
  return new GlyphpressError('GP_STORE_UNAVAILABLE', {
    message: `The object store does not respond as it should (${at}: ${reason})`,
    hint: 'Check that it runs and can be reached from here, and --store-endpoint.',
    details: { endpoint: at, reason },
    cause,
  });
}

function refused(cause: unknown, refusal: Refusal): GlyphpressError {
  return new GlyphpressError('GP_STORE_REFUSED', { ...refusal, cause });
}
