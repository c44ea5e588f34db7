/** Where a model runs, as it is named before anything of ONNX Runtime is loaded. */

/** Execution providers that a session may run on. The CPU is the tested one. */
export const DEVICES = ['cpu', 'webgpu', 'cuda', 'coreml', 'dml'] as const;
export type Device = (typeof DEVICES)[number];
