# One image for both: `serve` (the API) and `worker`. See deploy/README.md.
ARG NODE_IMAGE=node:20.20.2-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY workers workers
RUN npm run build && npm prune --omit=dev

FROM ${NODE_IMAGE}
# Chromium comes from the distribution, with its security updates; fonts come with glyphpress.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates chromium tini \
  && rm -rf /var/lib/apt/lists/* \
  && groupadd --gid 10001 glyphpress \
  && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin glyphpress \
  && install --directory --owner=10001 --group=10001 --mode=0700 /data
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE THIRD_PARTY.md ./
COPY bin bin
COPY scripts scripts
COPY web web
COPY models models
COPY suites suites
ENV NODE_ENV=production \
  GLYPHPRESS_DATA=/data \
  GLYPHPRESS_CACHE=/data/cache \
  HOME=/tmp \
  MALLOC_ARENA_MAX=2
USER 10001:10001
VOLUME /data
EXPOSE 8747
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "const s = process.env.GLYPHPRESS_TLS_CERT ? 'https' : 'http'; require(s).get(s + '://127.0.0.1:8747/livez', { rejectUnauthorized: false }, (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["/usr/bin/tini", "--", "node", "bin/glyphpress.js"]
CMD ["serve", "--host", "0.0.0.0", "--workers", "0"]
