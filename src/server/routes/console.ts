/** The page for people: static files and nothing else; what it shows it asks the API for. */

import { packageFile } from '../../package-file.js';
import { StaticFolder } from '../static-folder.js';
import type { App } from '../typed-app.js';

const FOLDER = packageFile('web');

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

export function consoleRoutes(app: App): void {
  const files = new StaticFolder(FOLDER);
  const names = files.names.map((name) => [`/${name === 'index.html' ? '' : name}`, name] as const);
  for (const [path, name] of names) {
    app.get(
      path,
      { config: { access: 'public' }, logLevel: 'warn', schema: { hide: true } },
      async (_, reply) => {
        const { type, bytes } = (await files.read(name))!;
        return reply
          .headers({ 'content-security-policy': POLICY, 'cache-control': 'no-cache' })
          .type(type)
          .send(bytes);
      },
    );
  }
}
