#!/usr/bin/env bash
# Installs what a target of the Makefile needs and the machine lacks, on Debian and Ubuntu.
# Usage: scripts/install.sh database|python|drivers|bench|build ...
set -euo pipefail

cd "$(dirname "$0")/.."

# Packages are installed only where a program is missing, so that a prepared machine is left as it is.
have() { PATH="$PATH:/usr/sbin:/usr/local/sbin:/usr/local/go/bin" command -v "$1" >/dev/null 2>&1; }

updated=no
apt_install() {
    if ! have apt-get; then
        echo "error: $* needed, and this machine has no apt-get; install them by hand" >&2
        exit 1
    fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! have sudo; then
            echo "error: $* needed; run as root or install sudo" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    if [ "$updated" = no ]; then
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
        updated=yes
    fi
    echo "installing $*"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

# What cargo needs to compile and link crates with C parts.
install_build() {
    have cc || apt_install build-essential
}

# The server alone: these packages bring no service, so nothing begins to listen on port 3306.
install_database() {
    if ! have mariadbd && ! have mysqld; then
        apt_install mariadb-server-core mariadb-client-core
    fi
    have mariadb || have mysql || apt_install mariadb-client-core
}

# A virtual environment with the Python drivers, made anew when their list changes.
install_python() {
    local stamp=.venv/requirements
    cmp -s tests/drivers/python/requirements.txt "$stamp" && return
    local python=python3
    if ! have python3 || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install python3 python3-venv
        # The package belongs to the system's own Python, whatever stands before it on the PATH.
        python=/usr/bin/python3
    fi
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/drivers/python/requirements.txt
    cp tests/drivers/python/requirements.txt "$stamp"
}

install_drivers() {
    install_python
    have node && have npm || apt_install nodejs npm
    have java && have javac || apt_install default-jdk-headless
    have mvn || apt_install maven
    have go || apt_install golang-go
    echo "fetching the drivers' packages"
    (cd tests/drivers/node && npm ci --silent --no-audit --no-fund </dev/null)
    (cd tests/drivers/go && PATH="$PATH:/usr/local/go/bin" go build -o ../../../target/drivers/go-driver . </dev/null)
    (cd tests/drivers/java && mvn --quiet --batch-mode -Dstyle.color=never -DskipTests package </dev/null)
}

install_bench() {
    have sysbench || apt_install sysbench
    have haproxy || apt_install haproxy
    have python3 || apt_install python3
}

for what in "$@"; do
    "install_$what"
done
