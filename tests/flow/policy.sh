#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A table of expectations against the rules: sealgate policy test. No daemon runs, nobody is asked.
. "$(dirname "$0")/lib.sh"
[ -x "$builddir/sealgate" ] || skip "not built"
conf=$work/test.conf
cat >"$conf" <<'END'
organisation = { domains = "example.org"; alias_map = "aliases"; };
services = ( { name = "all"; socket = "unix:a"; }, { name = "mx"; role = "open"; socket = "unix:b"; } );
directories = ( { name = "people"; uri = "ldap://127.0.0.1:1"; base = "o=x"; } );
senders = { directory = "people"; };
rights = ( { identity = "*"; from = "%l"; key = "own"; }, { identity = "*"; from = "%a"; },
           { networks = "192.0.2.0/24"; from = "robot@example.org"; key = "robot@example.org"; } );
rules = (
	{ name = "watch"; mode = "observe"; recipients = "@partner.example"; encrypt = "required"; },
	{ name = "marked"; subject_mark = "【暗号化】"; direction = "outbound"; sign = "required"; encrypt = "required";
	  if_missing = "refuse-recipient"; },
	{ name = "partner"; recipients = ".partner.example"; sign = "required"; encrypt = "required"; preset = "modern"; },
	{ name = "big"; direction = "outbound"; size_over = 1000000; },
	{ name = "known"; recipients = "@careful.example"; certificate = "known"; encrypt = "if-known"; form = "opaque";
	  stale = "defer"; revocation = "grace"; }
);
END
echo 'al@example.org alice@example.org' >"$work/aliases"

cat >"$work/good" <<'END'
# facts => what is expected
sender=alice@example.org login=alice@example.org rcpt=bob@example.org => direction=internal authorised=yes does=sign
sender=alice@example.org login=alice@example.org rcpt=carol@partner.example cert=proven => rule=shipped-outbound observed=watch does=sign+encrypt error=none
sender=alice@example.org login=alice@example.org rcpt=carol@sub.partner.example cert=known => rule=partner preset=modern sign=required encrypt=required if_missing=refuse-all does=sign+encrypt
sender=alice@example.org login=alice@example.org rcpt=carol@sub.partner.example rcpt=dave@sub.partner.example => does=refuse error=policy-no-cert
sender=alice@example.org login=alice@example.org rcpt=c@sub.partner.example cert=unknown => does=defer error=policy-unknown
sender=alice@example.org login=alice@example.org rcpt=x@else.example subject="Re: 【暗号化】 plan \"b\"" cert=none => rule=marked if_missing=refuse-recipient does=refuse
sender=alice@example.org login=alice@example.org rcpt=x@else.example subject="=?ISO-2022-JP?B?GyRCIVowRTlmMj0hWxsoQg==?=" cert=known => rule=marked does=sign+encrypt
sender=alice@example.org login=alice@example.org rcpt=x@else.example size=2000000 => rule=big does=leave
sender=alice@example.org login=alice@example.org rcpt=x@careful.example cert=known => rule=known form=opaque does=encrypt
sender=alice@example.org login=alice@example.org rcpt=x@careful.example cert=unknown => does=defer
sender=alice@example.org login=alice@example.org rcpt=x@careful.example cert=known stale=yes => stale=defer revocation=grace does=defer error=dir-unavailable
sender=alice@example.org login=alice@example.org rcpt=c@sub.partner.example cert=known stale=yes => stale=use does=sign+encrypt
sender=alice@example.org login=mallory@example.org rcpt=x@else.example => authorised=no does=leave
sender=alice@example.org rcpt=x@else.example => authorised=no
sender=sales@example.org login=alice rcpt=x@else.example => authorised=no
sender=sales@example.org login=alice address=info@example.org address=sales@example.org rcpt=x@else.example => authorised=yes
sender=al@example.org login=alice@example.org rcpt=x@else.example => authorised=yes	does=sign	# the alias map
sender=robot@example.org client=192.0.2.7 rcpt=x@else.example => authorised=yes
sender=robot@example.org client=192.0.2.7 rcpt=x@else.example key=no => does=leave
sender=robot@example.org client=198.51.100.7 rcpt=x@else.example => authorised=no
sender=alice@example.org login=alice@example.org from="a@example.org, b@example.org" rcpt=x@else.example => authorised=no
sender=alice@example.org login=alice@example.org rcpt=l@else.example class=list => rule=shipped-list does=leave
sender=alice@example.org login=alice@example.org rcpt=l@else.example header="List-Id: <l.example>" => rule=shipped-list
sender=x@else.example rcpt=alice@example.org class=enveloped service=mx => direction=inbound rule=shipped-inbound does=open+verify
sender=<> rcpt=alice@example.org class=report from="mailer-daemon@else.example" => direction=inbound
END

policy() {
	out=$("$builddir/sealgate" -c "$conf" policy test "$@" 2>&1)
	status=$?
}
policy "$work/good"
want "all met" "$status" 0
[ "$status" = 0 ] || echo "$out"
want "count" "$(printf '%s\n' "$out" | tail -n 1)" "26 cases, 0 not met"

# One that is not met, for each thing that can be expected.
case="sender=alice@example.org login=alice@example.org rcpt=c@sub.partner.example cert=known"
for wrong in rule=big authorised=no direction=inbound sign=never sign_key=x form=opaque encrypt=never if_missing=clear \
	preset=classic open=if-possible verify=if-signed opened=clear stale=defer revocation=required does=leave error=loop observed=watch; do
	echo "$case => $wrong" >"$work/bad"
	policy "$work/bad"
	want "$wrong: status" "$status" 65
	match "$wrong: what" "$out" "bad:1: c@sub.partner.example: ${wrong%%=*}: got \"[a-z+.-]+\", want \"${wrong#*=}\""
done
policy --json "$work/good" "$work/bad"
want "JSON: status" "$status" 65
match "JSON" "$out" '^\{"v":1,"results":\[\{"file":.*"line":2,"recipient":"bob@example.org","met":true,"got":\{"rule":"shipped-'
match "JSON: counts" "$out" '"cases":27,"failed":1\}$'
policy --show "$work/bad"
match "show" "$out" 'bad:1: c@sub.partner.example => rule=partner authorised=yes direction=outbound sign=required .* # signed; encrypted'

# What is no case: 66 and the line's number.
line=0
while IFS= read -r text; do
	line=$((line + 1))
	printf '# comment\n\n%s\n' "$text" >"$work/broken"
	policy "$work/broken"
	want "broken $line: status" "$status" 66
	match "broken $line: line" "$out" 'broken:3: '
done <<'END'
sender=a@example.org => does=leave
rcpt=a@example.org
sender=a@example.org rcpt=b@example.org => does=leave => sign=never
sender=a@example.org rcpt=b@example.org colour=blue
sender=a@example.org rcpt=b@example.org => colour=blue
sender=a@example.org rcpt=b@example.org cert=maybe
sender=a@example.org rcpt=b@example.org class=nonsense
sender=a@example.org rcpt=b@example.org service=none
sender=a@example.org rcpt=b@example.org subject="no end
sender=a@example.org rcpt=b@example.org header="no colon"
sender=a@example.org rcpt=b@example.org word
END
policy "$work/nowhere"
want "no file" "$status" 66
policy
want "no argument" "$status" 64
sed -i 's/direction = "outbound"/direction = "sideways"/' "$conf"
policy "$work/good"
want "a refused configuration" "$status" 78
finish
