# The workbook with all that its runs need: once it is built, nothing is fetched. How to use it: docs/clusters.md.
FROM python:3.11-slim-bookworm
WORKDIR /opt/anysleep
# libgomp1 is for LightGBM. Debian's releases pin the versions of its packages, and only security mends change them.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 make && rm -rf /var/lib/apt/lists/*
COPY . .
# Compiled here, since who runs it may not write there.
RUN make .venv/ready PYTHON=python3.11 && { .venv/bin/python -m compileall -q .venv lib || true; }
# Whoever runs it, by any number: runs write to outputs, and Snakemake beside it.
RUN chmod a+rwx . outputs
ENV PATH=/opt/anysleep/.venv/bin:$PATH HOME=/tmp LOGNAME=anysleep
USER 1000
CMD ["make", "demo"]
