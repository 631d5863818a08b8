#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The manual and the tables of options, errors and shipped rules say the same, both ways.
src=${SEALGATE_SRC:-$(dirname "$0")/..}
cd "$src" || exit 70
work=$(mktemp -d) || exit 70
trap 'rm -rf "$work"' EXIT
bad=0

# same WHAT TABLE PAGE: two sorted lists of names
same() {
	[ -s "$2" ] && [ -s "$3" ] && cmp -s "$2" "$3" && return
	echo "$1: only in the table (<) or only in the manual (>):"
	diff "$2" "$3" | grep '^[<>]'
	bad=1
}

tr '\n' ' ' <base/options.def | grep -oE 'OPTION\( *"[a-z_]+", *(true|false), *"[a-z_0-9]+"' |
	sed 's/OPTION( *"\([a-z_]*\)", *[a-z]*, *"\([a-z_0-9]*\)"/\1.\2/' | sort >"$work/options"
sed -n 's/^\.It Cm \([a-z_]*\.[a-z_0-9]*\) .*/\1/p' doc/sealgate.conf.5 | sort >"$work/conf.5"
same options "$work/options" "$work/conf.5"

tr '\n' ' ' <base/errors.def | grep -oE 'ERR\([A-Z0-9_]+, *RC_[A-Z]+, *[0-9]+, *"[0-9.]+"' |
	sed 's/ERR(\([A-Z0-9_]*\), *RC_[A-Z]*, *\([0-9]*\), *"\([0-9.]*\)"/\1 \2 \3/' | tr 'A-Z_' 'a-z-' | sort >"$work/errors"
sed -n 's/^\.It Cm \([a-z0-9-]*\) No (\([0-9]*\) \([0-9.]*\))/\1 \2 \3/p' doc/sealgate-errors.7 | sort >"$work/errors.7"
same errors "$work/errors" "$work/errors.7"

sed 's/LEAVE("\([a-z-]*\)".*/"shipped-\1"/' policy/shipped.c | grep -oE '"shipped-[a-z-]+"' | tr -d '"' | sort >"$work/rules"
sed -n '/^\.Sh SHIPPED RULES/,/^\.Sh EXAMPLES/p' doc/sealgate.conf.5 | grep '^\.It Cm' | grep -oE 'shipped-[a-z-]+' |
	sort >"$work/rules.5"
same "shipped rules" "$work/rules" "$work/rules.5"

# A line that was cut off ends in the middle of the next one, which no checker of mdoc minds.
grep -nE '@@|^[^.].*\.(It|El|Bl|Pp|Sh|Ss) ' doc/*.[1-8] && bad=1

# The pages have no errors that a reader would see.
if command -v mandoc >/dev/null; then
	for page in doc/*.[1-8]; do
		mandoc -Tlint -Wwarning "$page" 2>&1 | grep -vE 'STYLE|referenced manual|mandoc\.db' | grep . && bad=1
	done
fi
exit $bad
