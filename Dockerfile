# The exporter's image: docker build -t asterisk-fax-exporter .
# or: buildah bud --format docker -t asterisk-fax-exporter .   (its own format knows no HEALTHCHECK)
#
# The same tree on the same base gives the same layers:
#   buildah bud --format docker --timestamp 0 .
#   docker buildx build --build-arg SOURCE_DATE_EPOCH=0 --output type=oci,dest=image.tar,rewrite-timestamp=true .
#
# For linux/amd64 and linux/arm64; nothing is compiled, every dependency has a wheel for both.

# The tag moves with Python's and Debian's fixes. For a build that can be repeated in a year, append
# a digest, as compose.yml does: --build-arg PYTHON_IMAGE=...@sha256:...
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY locks/ locks/
RUN python -m venv /build \
 && /build/bin/pip install --quiet --require-hashes --only-binary :all: \
      --requirement locks/build.txt \
 && /build/bin/pip wheel --quiet --require-hashes --only-binary :all: --wheel-dir /wheels \
      --requirement locks/runtime.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY exporter/ exporter/
# Compiled here, as the root of the container is read-only; by content, not by time, so that it is
# the same every time.
RUN /build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && python -m venv --without-pip /opt/fax-exporter \
 && /build/bin/pip --python /opt/fax-exporter/bin/python install --quiet --no-index --no-compile \
      --find-links /wheels asterisk-fax-exporter \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/fax-exporter/lib

FROM ${PYTHON_IMAGE}
ARG PYTHON_IMAGE
LABEL org.opencontainers.image.title="asterisk-fax-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the faxes of Asterisk" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
COPY --from=build /opt/fax-exporter/ /opt/fax-exporter/
# For a volume with --history.file and --metrics.peer-file; a new one gets this owner. The group is
# for who runs it as any other user, as OpenShift does: that user's group is 0.
RUN install -d -o 10329 -g 0 -m 770 /var/lib/asterisk-fax-exporter
# A number, so that Kubernetes' runAsNonRoot can see that it is not root; no account is needed.
USER 10329:10329
EXPOSE 10329
# Wherever it listens, with TLS and users too: see --health-check.
HEALTHCHECK --interval=15s --timeout=5s --start-period=15s --retries=3 \
  CMD ["/opt/fax-exporter/bin/asterisk-fax-exporter", "--health-check"]
# To process 1 the kernel delivers only signals that it handles, and Python needs 40 ms until it can.
# What comes while they are blocked is kept until then.
ENTRYPOINT ["/usr/bin/env", "--block-signal=TERM,INT", "/opt/fax-exporter/bin/asterisk-fax-exporter"]
