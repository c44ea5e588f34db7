import { expect, it } from 'vitest';
import { resolveSettings } from '../../src/pipeline/settings.js';

const model = (cellPx: number | null) => ({
  layers: 4,
  rendering: null,
  vision: cellPx === null ? null : { cellPx },
});
const onGrid = { rendering: { config: { 'page-size': '588,840', 'grid-lock': true } } };

it('settings are fitted to the cells of the model', () => {
  const { renderConfig } = resolveSettings(onGrid, model(32));
  expect(renderConfig.visualTokenPx).toBe(32);
  expect([renderConfig.pageWidthPt % 32, renderConfig.pageHeightPt % 32]).toEqual([0, 0]);
  const { renderConfig: stored } = resolveSettings({}, model(32), { renderConfig });
  expect(stored).toEqual(renderConfig);
});

it.each([28, null])(
  'settings for cells of 28 px stay as they are written (model: %s)',
  (cellPx) => {
    const { renderConfig } = resolveSettings(onGrid, model(cellPx));
    expect(renderConfig).toMatchObject({ visualTokenPx: 28, pageWidthPt: 588, pageHeightPt: 840 });
  },
);
