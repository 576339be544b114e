# Meltemi as one small image: no build step, no root, nothing written to its file system.
FROM node:26-bookworm-slim AS install
WORKDIR /meltemi
COPY package.json package-lock.json ./
COPY protos ./protos
# What only generates or tests goes: the image brings its own Node.
RUN npm ci --omit=dev --no-audit --no-fund \
 && rm -rf protos/*.mjs node_modules/node node_modules/node-* node_modules/.bin node_modules/.package-lock.json \
      node_modules/@bufbuild/buf* node_modules/@bufbuild/proto*-* node_modules/@bufbuild/protoplugin \
      node_modules/@grpc/grpc-js-xds node_modules/typescript node_modules/@typescript \
 && find node_modules protos/gen -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete

# With glibc, whose heap is given back after a burst (docs/adr/0070-memory.md).
FROM node:26-bookworm-slim
WORKDIR /meltemi
ENV NODE_ENV=production
COPY --from=install /meltemi/node_modules ./node_modules
COPY --from=install /meltemi/protos ./protos
COPY package.json ./
COPY config ./config
COPY discovery ./discovery
COPY certs ./certs
COPY webhook ./webhook
COPY cmd ./cmd
# The applications that `meltemi up` plays.
COPY samples/apps ./samples/apps
# 15010 xDS in plain text, 15012 xDS and CA with TLS, 15014 metrics, 15017 webhooks, 8080 readiness and debug.
EXPOSE 15010 15012 15014 15017 8080
RUN mkdir .cache && chown 1000:1000 .cache
USER 1000:1000
# The file system will not be written to. By the user who will run it, as Node tells users apart.
RUN cmd/meltemi compile
ENTRYPOINT ["cmd/meltemi"]
CMD ["discovery"]
