/**
 * ONNX Runtime, the only module that imports it: sessions with checked options, typed errors.
 */
import { env, InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node';
import { type ErrorCode, GlyphpressError } from '../errors.js';
import { DEVICES, type Device } from './device.js';
import type { Feeds, TensorData } from './feed.js';

/** Before 1.29 the CPU provider's grouped attention takes memory quadratic in the prompt length. */
const MINIMUM_VERSION = [1, 29] as const;

export interface SessionSettings {
  /** What the device cannot run falls back to the CPU. @defaultValue cpu */
  device?: Device;
  /** Folder that external weights are relative to. */
  weightsFolder: string;
  threads: number;
  /** Keep scratch memory between runs. Off for graphs that run rarely on large inputs. */
  arena: boolean;
}

export class Session {
  private constructor(
    readonly name: string,
    private readonly session: InferenceSession,
  ) {}

  static async create(
    name: string,
    model: Uint8Array,
    settings: SessionSettings,
  ): Promise<Session> {
    checkVersion();
    const { device = 'cpu' } = settings;
    checkDevice(device);
    try {
      const session = await InferenceSession.create(model, {
        executionProviders: device === 'cpu' ? ['cpu'] : [device, 'cpu'],
        intraOpNumThreads: settings.threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        enableCpuMemArena: settings.arena,
        // It would keep a pattern for every shape that was ever run, and here nearly every run has its own.
        enableMemPattern: false,
        logSeverityLevel: 3,
        // Values must be strings; unknown keys are ignored without a word, so keep this list short.
        extra: {
          // Each session has its own pool: pools that spin while idle starve the others.
          'session.intra_op.allow_spinning': '0',
          'session.model_external_initializers_file_folder_path': settings.weightsFolder,
        },
      });
      return new Session(name, session);
    } catch (cause) {
      if (device !== 'cpu') throw deviceError(device, (cause as Error).message, cause);
      throw runtimeError(`refused the graph ${name}`, cause);
    }
  }

  /** Runs the graph for the named float32 outputs. */
  async run<Name extends string>(
    feeds: Readonly<Feeds>,
    outputs: readonly Name[],
  ): Promise<Record<Name, Float32Array>> {
    try {
      const tensors: Record<string, Tensor> = {};
      for (const [name, { data, dims }] of Object.entries(feeds))
        tensors[name] = toTensor(data, dims);
      const results = await this.session.run(tensors, outputs);
      return Object.fromEntries(
        outputs.map((name) => [name, results[name]!.data as Float32Array]),
      ) as Record<Name, Float32Array>;
    } catch (cause) {
      throw runtimeError(`failed to run the graph ${this.name}`, cause);
    }
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}

function runtimeVersion(): string {
  return env.versions.node ?? env.versions.common;
}

export function checkVersion(version = runtimeVersion()): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > MINIMUM_VERSION[0] || (major === MINIMUM_VERSION[0] && minor >= MINIMUM_VERSION[1]))
    return;
  throw new GlyphpressError('GP_MODEL_RUNTIME', {
    message: `onnxruntime-node ${version} is installed; at least ${MINIMUM_VERSION.join('.')} is needed.`,
    hint: 'Run npm ci: the lock file pins a version that works.',
    details: { expected: MINIMUM_VERSION.join('.'), actual: version },
  });
}

/**
 * @param available as ONNX Runtime lists them
 * @throws GP_MODEL_DEVICE for a device that the installed binary was not built for
 */
export function checkDevice(
  device: string,
  available: readonly string[] = listSupportedBackends().map(({ name }) => name),
): asserts device is Device {
  const isKnown = (DEVICES as readonly string[]).includes(device);
  if (isKnown && (device === 'cpu' || available.includes(device))) return;
  throw deviceError(
    device,
    `this machine's ONNX Runtime was built for ${available.join(', ') || 'the CPU only'}`,
  );
}

function deviceError(device: string, problem: string, cause?: unknown): GlyphpressError {
  const cuda =
    ' CUDA needs the libraries that the install script of onnxruntime-node fetches, CUDA 12 and cuDNN 9.';
  return new GlyphpressError('GP_MODEL_DEVICE', {
    message: `The model cannot run on ${device}: ${problem}.`,
    hint: `Use --device cpu, which is always there.${device === 'cuda' ? cuda : ''}`,
    details: { device, devices: DEVICES },
    cause,
  });
}

function toTensor(data: TensorData, dims: readonly number[]): Tensor {
  if (data instanceof Float32Array) return new Tensor('float32', data, dims);
  if (data instanceof Int32Array) return new Tensor('int32', data, dims);
  if (data instanceof Int8Array) return new Tensor('int8', data, dims);
  if (data instanceof Uint16Array) return halves(data, dims);
  return new Tensor('int64', data, dims);
}

/**
 * Where the engine has a Float16Array (Node 23 and later), Tensor makes one, whose bytes the binding of
 * 1.30 takes for none. It reads no more of a tensor than this.
 */
function halves(data: Uint16Array, dims: readonly number[]): Tensor {
  const tensor = { type: 'float16', data, dims, size: data.length, location: 'cpu' };
  return tensor as unknown as Tensor;
}

function runtimeError(what: string, cause: unknown): GlyphpressError {
  const code: ErrorCode = 'GP_MODEL_RUNTIME';
  return new GlyphpressError(code, {
    message: `ONNX Runtime ${what}: ${cause instanceof Error ? cause.message : String(cause)}`,
    hint: 'Check free memory and that the checkpoint was not changed while it was open.',
    details: { runtime: runtimeVersion() },
    cause,
  });
}
