#!/usr/bin/env bash
# Types what README.md says under "Read it", word for word, on a fresh Debian or Ubuntu. It installs packages and adds
# a user: run it as root, in a container or a chroot that you throw away.
set -euo pipefail
cd "$(dirname "$0")/.."

commands=$(sed -n '/^## Read it$/,/^## /s/^\$ //p' README.md)
[ -n "$commands" ] || { echo 'README.md has no commands under "Read it"' >&2; exit 1; }

# What a machine has and a container lacks: lists of packages, sudo, and somebody who reads and answers yes.
echo 'debconf debconf/frontend select Noninteractive' | debconf-set-selections
apt-get update -qq
apt-get install -y -qq sudo
echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/90yes
useradd --create-home reader
echo 'reader ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/reader
cp -a . /home/reader/course
chown -R reader: /home/reader/course

cd /home/reader/course
sudo --set-home --user reader bash -exc "$commands" </dev/null
