# Pepr's controller and Node.js, for clusters where only images of their owner may run. The module itself is no part of it: the
# pods get it from the cluster. Used by k8s/components/own-image; see k8s/README.md.
#
#   docker build --tag registry.example.com/mlflow-kserve/controller:0.1.0 .
#
# To pin the base by its content as well: --build-arg NODE_IMAGE=docker.io/library/node:24.11.1-bookworm-slim@sha256:…
ARG NODE_IMAGE=docker.io/library/node:24.11.1-bookworm-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /opt/pepr
COPY package.json package-lock.json ./
# What the lock file names, checked by its hashes; peers are for `pepr build` only.
RUN npm ci --omit=dev --omit=peer --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="mlflow-kserve controller" \
      org.opencontainers.image.licenses="Apache-2.0"
# The controller writes the module to /app and starts it there; this is where the module finds what it needs.
ENV NODE_ENV=production \
    NODE_PATH=/opt/pepr/node_modules
# Nobody installs anything in a running container.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn-*
COPY LICENSE /licenses/LICENSE
COPY --from=packages /opt/pepr/node_modules /opt/pepr/node_modules
WORKDIR /app
USER 65532:65532
ENTRYPOINT ["node"]
CMD ["--version"]
