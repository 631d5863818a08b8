#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Other people's mail through the daemon with no rule that applies: each comes out as it went in, bit for bit.
# SEALGATE_CORPORA names the folder; it is not part of this tree.
. "$(dirname "$0")/lib.sh"
corpora=${SEALGATE_CORPORA:-$srcdir/../shared/corpora}/mail
[ -d "$corpora" ] || skip "no corpora"
. "$(dirname "$0")/world.sh"
world
printf 'rules = ( { name = "none"; } );\npolicy = { shipped_rules = false; };\n' >>"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log" || fail "no reload"

find "$corpora" -type f -name '*.eml' | sort >"$work/list"
count=$(wc -l <"$work/list")
[ "$count" -ge 800 ] || fail "only $count mails"
for form in 0x1fffff 0xfffff; do
	xargs -d '\n' "$builddir/mtadriver" -S "$sock" --protocol $form --one-session -f '<a@outside.example>' \
		-r '<b@elsewhere.example>' <"$work/list" >"$work/json"
	want "protocol $form: accepted" "$(grep -c '"code":250' "$work/json")" "$count"
	want "protocol $form: unchanged" "$(grep -c '"changed":false' "$work/json")" "$count"
done
echo "note: $count mails passed twice"
finish
