#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The templates of contrib/custody: each is there in each language, with the same parts, the same words to fill in, the same
# boxes to tick and the same commands; what is to be filled in is explained. (tests/flow/custody.sh runs the commands.)
src=${SEALGATE_SRC:-$(dirname "$0")/..}
cd "$src/contrib/custody" || exit 70
work=$(mktemp -d) || exit 70
trap 'rm -rf "$work"' EXIT
bad=0

wrong() {
	echo "$*"
	bad=1
}

# shape FILE: what has to be the same in all languages
shape() {
	grep -oE '^#+ ' "$1" | sort | uniq -c | sed 's/^/headings /'
	grep -c '^|' "$1" | sed 's/^/rows /'
	grep -o '\[ \]' "$1" | wc -l | sed 's/^/boxes /'
	grep -cE '^([0-9]+\.|\(?[0-9]+\)?) ' "$1" | sed 's/^/numbered /'
	grep -oE '_{5,}' "$1" | wc -l | sed 's/^/blanks /'
	grep -oE '\{\{[^}]*\}\}' "$1" | sort -u
	grep -oE '^ +(sealgate|openssl) .*' "$1" | sed 's/^ */command /'
	grep -oE '`[^`]*`' "$1" | grep -v '{{' | sort -u | sed 's/^/code /'
}

set -- en/*.md
[ $# -ge 7 ] || wrong "only $# templates"
for file; do
	name=${file#en/}
	shape "$file" >"$work/en"
	for language in de ja; do
		[ -f "$language/$name" ] || {
			wrong "$language/$name is missing"
			continue
		}
		shape "$language/$name" >"$work/other"
		cmp -s "$work/en" "$work/other" || wrong "$file (<) and $language/$name (>):
$(diff "$work/en" "$work/other")"
	done
done
[ "$(ls de)" = "$(ls en)" ] && [ "$(ls ja)" = "$(ls en)" ] || wrong "not the same files in all languages"

for language in en de ja; do
	cat $language/[!R]*.md | grep -oE '\{\{[^}]*\}\}' | sort -u >"$work/used"
	grep '^|' $language/README.md | grep -oE '\{\{[^}]*\}\}' | sort -u >"$work/explained"
	[ -s "$work/used" ] && cmp -s "$work/used" "$work/explained" || wrong "$language: used (<) and explained (>):
$(diff "$work/used" "$work/explained")"
	for file in $language/*.md; do
		iconv -f UTF-8 -t UTF-8 "$file" >/dev/null 2>&1 || wrong "$file is no UTF-8"
		sed 's/{{[A-Z]*}}//g' "$file" | grep -n '[{}]' && wrong "$file: a half placeholder"
	done
done

# The chapter names them all.
for file in en/[!R]*.md; do
	grep -q "^\.It Pa ${file#en/}\$" ../../doc/sealgate-custody.7 || wrong "sealgate-custody(7) does not name ${file#en/}"
done
exit $bad
