/** Where results lie: on a disk, or in an object store. Whoever makes and reads them sees names only. */

import type { ArtifactForm, FileSum, Manifest } from './manifest.js';

/** Named files that come one by one: pages as they are drawn, visual tokens of pages. */
export interface FileSet {
  /** For messages. */
  readonly name: string;
  /** @returns null where there is no such file */
  read(file: string): Promise<Buffer | null>;
  /** A reader never sees half of it; of several writers at once the last one counts. */
  put(file: string, bytes: string | Buffer): Promise<void>;
  /**
   * As {@link put}, for what a function writes into a file of this machine. Nothing happens where
   * what the set belongs to was deleted meanwhile, as far as that can be told.
   */
  make(file: string, write: (path: string) => Promise<void>): Promise<void>;
  /** Brings a file to a path of this machine; both may be one file of the disk from then on. */
  copyTo(file: string, path: string): Promise<void>;
  names(): Promise<string[]>;
  remove(): Promise<void>;
}

/** One artifact: files and their manifest, which is there whole or not at all. */
export interface ArtifactPlace {
  /** For messages, and as a key: what lies below it has a name that begins with it and a slash. */
  readonly name: string;
  readManifest(): Promise<string | null>;
  /** Whether every file that the manifest names is there, as well as the place can tell. */
  holds(manifest: Manifest<unknown>): Promise<boolean>;
  /** @returns null where the file is missing; its bytes may be others than expected */
  readFile(file: string, expected: FileSum): Promise<Buffer | null>;
  /**
   * Replaces the artifact, if there is one; of several writers at once one counts, with all its files.
   *
   * @param fill writes the files into a folder of this machine, and returns the manifest's body
   */
  write<Body>(
    form: ArtifactForm,
    key: Record<string, string>,
    fill: (folder: string) => Promise<Body>,
  ): Promise<Manifest<Body>>;
  remove(): Promise<void>;
  /** What is on its way to become this artifact, kept until it is. */
  unfinished(): FileSet;
  /** Where a file lies on this machine, if it does: for links instead of copies. */
  pathOf(file: string): string | undefined;
}

/** A path stands for the artifact in that folder. */
export type AnyPlace = string | ArtifactPlace;

export function placeName(place: string | { name: string }): string {
  return typeof place === 'string' ? place : place.name;
}
