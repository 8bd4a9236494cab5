#!/usr/bin/env bash
# Opens an issue on GitHub or, while one of that title is open, adds to it: scripts/issue.sh TITLE TEXT
set -euo pipefail

title=$1
text=$2
number=$(gh issue list --state open --search "in:title \"$title\"" --json number --jq '.[0].number // empty')
if [ -n "$number" ]; then
    gh issue comment "$number" --body "$text"
else
    gh issue create --title "$title" --body "$text"
fi
