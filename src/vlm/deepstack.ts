/**
 * What DeepStack adds to prompt rows behind the first decoder layers: for a visual row the parts of its
 * token beyond the first, for a text row nothing.
 */
export class DeepStackRows {
  /** Place of each row's visual token in `features`, −1 for text rows. */
  readonly #token: Int32Array;

  /**
   * @param features visual tokens in prompt order, one array an image: float32 [tokens, (1 + levels) · width]
   * @param image −1 for text rows
   * @param token of each row; rows that were dropped are missing. @defaultValue all in order
   */
  constructor(
    private readonly features: readonly Float32Array[],
    private readonly width: number,
    private readonly levels: number,
    image: Int32Array,
    token?: Int32Array,
  ) {
    let next = 0;
    this.#token = token ?? image.map((index) => (index < 0 ? -1 : next++));
  }

  /** float32 [to − from, width], what rows [from, to) are given behind layer `level` */
  read(level: number, from: number, to: number): Float32Array {
    const { width } = this;
    const rows = new Float32Array((to - from) * width);
    const stride = (1 + this.levels) * width;
    // Visual rows stand in the order of their images.
    let image = 0;
    let first = 0;
    for (let row = from; row < to; row += 1) {
      const token = this.#token[row]!;
      if (token < 0) continue;
      while (token >= first + this.features[image]!.length / stride) {
        first += this.features[image]!.length / stride;
        image += 1;
      }
      const at = (token - first) * stride + (1 + level) * width;
      rows.set(this.features[image]!.subarray(at, at + width), (row - from) * width);
    }
    return rows;
  }

  /** The same of some of the rows, ascending. */
  select(rows: Int32Array): DeepStackRows {
    const token = Int32Array.from(rows, (row) => this.#token[row]!);
    return new DeepStackRows(this.features, this.width, this.levels, token, token);
  }
}
