#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# person sync against a real slapd: joiners, leavers, renames, aliases, groups, thousands of people in pages; and a directory
# that is gone, gives a part, is empty, or would have half of the house leave.
SEALGATE_SRC=${SEALGATE_SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
SEALGATE_BUILD=${SEALGATE_BUILD:-$SEALGATE_SRC/b}
PKI_MADE=$SEALGATE_BUILD
. "$SEALGATE_SRC/tests/lib/servers.sh"
. "$SEALGATE_SRC/tests/mta/checks.sh"
needs slapd slapadd ldapmodify perl
sealgate=$SEALGATE_BUILD/sealgate
built "$sealgate"
servers_begin || exit 1
W=$SERVERS
suffix=dc=here,dc=test

# has NAME FILE PATTERN: a line of FILE matches
has() {
	if grep -Eq -- "$3" "$2"; then
		echo "ok: $1"
	else
		echo "FAILED: $1: no line matches \"$3\" in:"
		head -n 20 "$2"
		bad=1
	fi
}

# hasnot NAME FILE PATTERN
hasnot() {
	if grep -Eq -- "$3" "$2"; then
		echo "FAILED: $1: \"$3\" in:"
		grep -E -- "$3" "$2" | head -n 5
		bad=1
	else
		echo "ok: $1"
	fi
}

# person NAME ID [LINES]: an entry whose unique id is given, so that a change of everything else shows nothing of it
person() {
	printf 'dn: cn=%s,ou=people,%s\nobjectClass: inetOrgPerson\nobjectClass: extensibleObject\ncn: %s\nsn: %s\nuid: %s\nemployeeNumber: %s\nmail: %s@here.test\n' \
		"$1" "$suffix" "$1" "$1" "$1" "$2" "$1"
	[ $# -lt 3 ] || printf '%b\n' "$3"
	echo
}

modify() {
	ldapmodify -x -H "$(cat "$W/slapd/uri")" -D "cn=admin,$suffix" -w secret >>"$W/log" 2>&1 || { echo "FAILED: ldapmodify"; tail -n 5 "$W/log"; bad=1; }
}

gate() {
	"$sealgate" -c "$gate/sealgate.conf" "$@" 2>>"$W/log"
}

# sync [OPTION…]: standard output in $W/out, the exit status printed
sync() {
	"$sealgate" -c "$gate/sealgate.conf" person sync "$@" >"$W/out" 2>"$W/err"
	echo $?
}

# settle: the plan of a second run is empty, whatever the first one did
settle() {
	check "$1: done again, nothing is left" "0 " "$(sync) $(grep -Ev '^(note|conflict)' "$W/out")"
}

# count: persons that have not left
count() {
	gate person list | grep -c ' present '
}

# people LINES: the configuration of the sync, with $uri, $base, $id, $filter and $groups where these are set
people() {
	{
		cat "$gate/sealgate.base"
		cat <<-E
		directories = ( { name = "people"; uri = "${uri:-$(cat "$W/slapd/uri")}"; base = "$suffix"; timeout = "10s"; certificates = false; } );
		people = { directory = "people"; base = "${base:-ou=people,$suffix}"; id = "${id:-employeeNumber}"; filter = "${filter:-(mail=*)}"; $1 };
		people_groups = ( $groups );
		E
	} >"$gate/sealgate.conf"
}

# --- a small house
{
	printf 'dn: %s\nobjectClass: dcObject\nobjectClass: organization\ndc: here\no: here\n\n' "$suffix"
	printf 'dn: ou=people,%s\nobjectClass: organizationalUnit\nou: people\n\n' "$suffix"
	printf 'dn: ou=groups,%s\nobjectClass: organizationalUnit\nou: groups\n\n' "$suffix"
	person alice 1 'mailAlternateAddress: a.alice@here.test\nmailAlternateAddress: alice@elsewhere.test'
	person bob 2
	person carol 3
	person dave 4
	person erin 5
	person help 6 'employeeType: function'
	printf 'dn: cn=helpdesk,ou=groups,%s\nobjectClass: groupOfNames\ncn: helpdesk\nmember: CN=Alice, ou=people,%s\nmember: cn=bob,ou=people,%s\nmember: cn=gone,ou=people,%s\n\n' \
		"$suffix" "$suffix" "$suffix" "$suffix"
	printf 'dn: cn=board,ou=groups,%s\nobjectClass: extensibleObject\nobjectClass: organizationalRole\ncn: board\nmemberUid: carol\nmemberUid: dave\n\n' "$suffix"
} >"$W/people.ldif"
mkdir -p "$W/slapd"
# What OpenLDAP's own schema has not: the attributes of mail servers, of NIS groups and of Active Directory.
cat >"$W/slapd/attributes" <<E
attributetype ( 1.3.6.1.4.1.99999.1.1 NAME 'mailAlternateAddress' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
attributetype ( 1.3.6.1.4.1.99999.1.2 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.1.3 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.1.4 NAME 'memberUid' EQUALITY caseExactIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
E
# 500 entries at most in an answer, any number of them in pages.
echo "sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited" >"$W/slapd/extra.conf"
SLAPD_GLOBAL=$(cat "$W/slapd/attributes")
slapd_up "$W/slapd" "$suffix" "$W/people.ldif" || exit 1
user=$(id -un)

# house NAME: a new gateway in $W/NAME, the one that is asked from now on
house() {
	gate=$W/$1
	"$sealgate" init --dir "$gate" --domain here.test >"$W/init" 2>&1 || { cat "$W/init"; exit 1; }
	sed "s/user = \"sealgate[a-z-]*\"/user = \"$user\"/" "$gate/sealgate.conf" >"$gate/sealgate.base"
	chown -R "$user" "$gate"
}

house gate
groups="{ name = \"helpdesk\"; owner = \"help@here.test\"; filter = \"(cn=helpdesk)\"; },
	{ name = \"board\"; owner = \"board@here.test\"; filter = \"(cn=board)\"; members = \"login\"; member = \"memberUid\"; }"
usual='kind = "employeeType"; roles = "function"; keys = "both"; key_type = "p256"; leave_after = "0";'
people "$usual"
check "the configuration is good" 0 "$(gate check >/dev/null; echo $?)"

# id_of ADDRESS: of the person who has it now
id_of() {
	gate person grants "$1" --all >/dev/null # it is somebody's
	gate person list --json | tr '{' '\n' | sed -n "/^\"person\"/h; /\"address\":\"$1\"/{/until/!{g;s/.*\"person\":\"\([^\"]*\)\".*/\1/p}}" | head -n 1
}

# Somebody whom an administrator has made already, and somebody whom the directory does not know.
gate key new bob@here.test --type p256 >/dev/null
gate key new zoe@here.test --type p256 >/dev/null
bob=$(id_of bob@here.test)

# --- joiners
check "a dry run" 0 "$(sync --dry-run)"
cp "$W/out" "$W/plan"
has "it would make alice" "$W/plan" '^new .*alice@here.test'
has "and take bob over" "$W/plan" "^link +$bob"
check "and did nothing" 3 "$(count)"
check "joiners" 0 "$(sync)"
check "all are there" 9 "$(count)"
plain() {
	sed 's/ p[0-9a-f]\{16\} / - /' "$1" | tr -s ' ' | sort
}
check "as the dry run said" "$(plain "$W/plan")" "$(plain "$W/out")"
gate person show alice@here.test >"$W/alice"
has "her alias" "$W/alice" '^address +a.alice@here.test .*\(directory\)'
hasnot "an address that is not ours" "$W/alice" 'elsewhere'
has "her unique id" "$W/alice" '^uid +1$'
has "her key" "$W/alice" '^keys +1, 1 active'
check "bob is the same" "$bob" "$(id_of bob@here.test)"
check "and keeps his key" 1 "$(gate key list bob@here.test | wc -l)"
has "a role" "$W/out" '^new .*help@here.test'
check "it is one" role "$(gate person show help@here.test | sed -n 's/^kind *//p')"
check "a role that only a group speaks of" role "$(gate person show board@here.test | sed -n 's/^kind *//p')"
gate person grants >"$W/grants"
check "grants from groups, by DN and by login" 4 "$(grep -c live "$W/grants")"
has "alice reads help" "$W/grants" 'alice@here.test may read what is for help@here.test .*group:helpdesk'
has "carol reads board" "$W/grants" 'carol@here.test may read what is for board@here.test .*group:board'
settle joiners

# --- rename: another name in the directory, the same id
carol=$(id_of carol@here.test)
modify <<E
dn: cn=carol,ou=people,$suffix
changetype: modify
replace: mail
mail: carol.new@here.test

dn: cn=carol,ou=people,$suffix
changetype: modrdn
newrdn: cn=carola
deleteoldrdn: 1

E
check "a rename" 0 "$(sync)"
has "her address" "$W/out" '^address.add .*carol.new@here.test'
has "the old one for a while" "$W/out" '^address.end .*carol@here.test  at '
has "her name" "$W/out" '^name .*"carola"'
has "a reminder" "$W/out" '^note .*carol.new@here.test .*key renew'
check "the same person" "$carol" "$(id_of carol.new@here.test)"
settle rename
modify <<E
dn: cn=carola,ou=people,$suffix
changetype: modify
add: mail
mail: carol@here.test

E
check "the old address is back" 0 "$(sync)"
has "and stays" "$W/out" '^address.keep .*carol@here.test'
settle "the old address"

# --- a member leaves a group; dave's grant by hand stays
gate person grant --to dave@here.test help@here.test >/dev/null || bad=1
modify <<E
dn: cn=helpdesk,ou=groups,$suffix
changetype: modify
delete: member
member: cn=bob,ou=people,$suffix

E
check "out of a group" 0 "$(sync)"
has "bob's grant ends" "$W/out" "^ungrant +$bob"
hasnot "alice's does not" "$W/out" 'alice'
check "dave's does not" 1 "$(gate person grants dave@here.test | grep -c 'for help@here.test')"
settle groups

# --- a leaver, and a successor with the leaver's address
dave=$(id_of dave@here.test)
modify <<E
dn: cn=dave,ou=people,$suffix
changetype: delete

E
check "a leaver" 0 "$(sync)"
has "who it is" "$W/out" "^leave +$dave"
check "has left" left "$(gate person show "$dave" | sed -n 's/^state *//p')"
check "with grants ended" 0 "$(gate person grants "$dave" | wc -l)"
check "and keys kept" "keys         1, 1 active" "$(gate person show "$dave" | grep ^keys)"
settle leaver
person dave 44 | sed 's/^dn: cn=dave/dn: cn=dave2/; s/^cn: dave/cn: dave2/; 1a changetype: add' >"$W/dave2"
modify <"$W/dave2"
check "a successor" 0 "$(sync)"
has "takes the address" "$W/out" "^address.take .*dave@here.test  from $dave"
check "is another person" 2 "$(gate person show dave@here.test | grep -c '^person')"
check "without the predecessor's grant by hand" 0 "$(gate person grants dave@here.test | grep -c 'for help@here.test')"
check "with a key of their own" 1 "$(gate key list dave@here.test | wc -l)"
settle successor

# --- an administrator's word counts more than the directory's
gate person leave erin@here.test >/dev/null || bad=1
check "who left by hand" "0 " "$(sync) $(grep erin "$W/out")"
gate person return erin@here.test >/dev/null || bad=1

# --- missing for a while, and back
people "$(echo "$usual" | sed 's/leave_after = "0"/leave_after = "1h"/')"
modify <<E
dn: cn=erin,ou=people,$suffix
changetype: modify
delete: mail

E
check "missing" 0 "$(sync)"
has "is noted" "$W/out" '^missing .*erin@here.test'
check "and has not left" present "$(gate person show erin@here.test | sed -n 's/^state *//p')"
settle missing
modify <<E
dn: cn=erin,ou=people,$suffix
changetype: modify
add: mail
mail: erin@here.test

E
check "found" 0 "$(sync)"
has "is noted" "$W/out" '^found .*erin@here.test'
settle found

# --- conflicts are said, and change nothing
alice=$(id_of alice@here.test)
modify <<E
dn: cn=erin,ou=people,$suffix
changetype: modify
add: mailAlternateAddress
mailAlternateAddress: alice@here.test
mailAlternateAddress: zoe@here.test

E
check "an address that two entries have" 0 "$(sync)"
has "is a conflict" "$W/out" '^conflict .*alice@here.test  two entries have the address'
has "so is one that was made by hand" "$W/out" '^conflict .*zoe@here.test '
check "alice keeps hers" "$alice" "$(id_of alice@here.test)"
modify <<E
dn: cn=erin,ou=people,$suffix
changetype: modify
delete: mailAlternateAddress

E

# --- trouble: nothing is changed
people "$usual"
before=$(gate person list --json)
unchanged() {
	check "$1: nothing was changed" "$before" "$(gate person list --json)"
}
modify <<E
dn: cn=bob,ou=people,$suffix
changetype: delete

E
uri="ldap://127.0.0.1:$(free_port)"
people "$usual"
check "a directory that is down" 75 "$(sync)"
unchanged "a directory that is down"
uri=
people "$usual max_entries = 3;"
check "more people than may be" 75 "$(sync)"
has "is said" "$W/err" 'more than 3 entries'
unchanged "more people than may be"
filter='(&(mail=*)(cn=nobody))' && people "$usual"
check "nobody at all" 75 "$(sync)"
has "is said" "$W/err" 'shows nobody'
unchanged "nobody at all"
filter='(mail=*' && people "$usual"
check "a filter that is none" 75 "$(sync)"
unchanged "a filter that is none"
filter=
kept=$groups
groups="{ name = \"helpdesk\"; owner = \"help@here.test\"; filter = \"(cn=nohelpdesk)\"; }"
people "$usual"
check "a group that is gone" 75 "$(sync)"
has "is said" "$W/err" 'no group helpdesk'
unchanged "a group that is gone"
groups="{ name = \"helpdesk\"; owner = \"help@elsewhere.test\"; filter = \"(cn=helpdesk)\"; }"
people "$usual"
check "a role that is not ours" 78 "$(sync)"
check "check says so too" 78 "$(gate check >/dev/null; echo $?)"
groups=$kept
id=employeeType && people "$usual"
check "people without a unique id" 75 "$(sync)"
has "is said" "$W/err" 'should be a unique id'
unchanged "people without a unique id"
# All under new ids, as after a directory that was made anew: everybody would lose their address.
id=uid && people "$usual"
check "a directory that was made anew" 75 "$(sync)"
has "is said" "$W/err" 'persons would leave at once'
unchanged "a directory that was made anew"
id=
people "$usual max_leave = 0;"
check "one may always leave" 0 "$(sync --dry-run)"
has "bob" "$W/out" "^leave +$bob"
filter='(|(cn=alice)(cn=help))' && people "$usual max_leave = 3;"
check "most of the house" 75 "$(sync)"
has "is said" "$W/err" 'of .* persons would leave at once'
unchanged "most of the house"
check "unless they may" 0 "$(sync --dry-run --leavers 10)"
filter=
slapd_down "$W/slapd"
# The server answers with a part of it.
sed -i "s|^sizelimit.*|sizelimit 4|" "$W/slapd/slapd.conf"
slapd_start "$W/slapd" || exit 1
people "$usual page_size = 0;"
check "a size limit of the server's" 75 "$(sync)"
has "is said" "$W/err" 'only a part of the entries'
unchanged "a size limit of the server's"
people "$usual page_size = 2;"
check "the same in pages" 75 "$(sync)"
has "is said" "$W/err" 'only a part of the entries'
unchanged "the same in pages"
slapd_down "$W/slapd"
sed -i "s|^sizelimit.*|$(cat "$W/slapd/extra.conf")|" "$W/slapd/slapd.conf"
slapd_start "$W/slapd" || exit 1

# --- a referral in the tree
modify <<E
dn: ou=branch,ou=people,$suffix
changetype: add
objectClass: referral
objectClass: extensibleObject
ou: branch
ref: ldap://127.0.0.1:1/ou=branch,$suffix

E
check "a branch on another server" 75 "$(sync)"
has "is said" "$W/err" 'people.references'
unchanged "a branch on another server"
people "$usual page_size = 2; references = \"ignore\";"
check "unless it may be left out" 0 "$(sync)"
has "bob has left, by pages of two" "$W/out" "^leave +$bob"
settle "pages of two"
ldapdelete -M -x -H "$(cat "$W/slapd/uri")" -D "cn=admin,$suffix" -w secret "ou=branch,ou=people,$suffix" >>"$W/log" 2>&1 || { echo "FAILED: ldapdelete"; bad=1; }

# --- the shapes of Active Directory
{
	printf 'dn: ou=ad,%s\nobjectClass: organizationalUnit\nou: ad\n\n' "$suffix"
	for i in 1 2 3; do
		printf 'dn: cn=Mull\\, User%s,ou=ad,%s\nobjectClass: inetOrgPerson\nobjectClass: extensibleObject\ncn: Mull, User%s\nsn: x\nobjectGUID:: %s\n' \
			$i "$suffix" $i "$(printf "\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017\00$i" | base64)"
		printf 'proxyAddresses: smtp:user%s.alias@here.test\nproxyAddresses: SMTP:User%s@here.test\n' $i $i
		printf 'proxyAddresses: X500:/o=x/cn=user%s@here.test\nproxyAddresses: sip:user%s@here.test\n\n' $i $i
	done
	printf 'dn: cn=adgroup,ou=groups,%s\nobjectClass: groupOfNames\ncn: adgroup\nmember: cn=Mull\\2C User1,OU=AD,%s\n\n' "$suffix" "$suffix"
} >"$W/ad.ldif"
ldapadd -x -H "$(cat "$W/slapd/uri")" -D "cn=admin,$suffix" -w secret -f "$W/ad.ldif" >>"$W/log" 2>&1 || { echo "FAILED: ldapadd"; bad=1; }
house ad
groups="{ name = \"ad\"; owner = \"desk@here.test\"; filter = \"(cn=adgroup)\"; }"
id=objectGUID filter='(proxyAddresses=*)' base="ou=ad,$suffix"
people 'mail = "proxyAddresses";'
check "Active Directory" 0 "$(sync)"
gate person show user1@here.test >"$W/user"
has "a GUID" "$W/user" '^uid +04030201-0605-0807-090a-0b0c0d0e0f01$'
has "the main address" "$W/out" '^new .*User1@here.test'
has "an alias" "$W/user" '^address +user1.alias@here.test'
check "and no more" 2 "$(grep -c ^address "$W/user")"
check "a member with a comma in the name" 1 "$(gate person grants User1@here.test | grep -c 'for desk@here.test')"
has "no keys unless they are asked for" "$W/user" '^keys +0, 0 active'
settle "Active Directory"

# --- servers that answer as slapd does not
house fake
groups="{ name = \"fake\"; owner = \"fake@here.test\"; filter = \"(cn=group)\"; }"
id= filter= base=dc=fake
for how in nopages cut loop endless flood ranges; do
	port=$(free_port)
	process_up "$W/fake-$how" "$how" "$SEALGATE_SRC/tests/mta/fakeldap" "$port" "$how"
	wait_port "$port" || { echo "FAILED: fakeldap"; bad=1; }
	uri="ldap://127.0.0.1:$port"
	people 'max_entries = 200;'
	got=$(sync)
	case $how in
	ranges) check "a group in ranges" 0 "$got" ;;
	*) check "$how" 75 "$got" && check "$how: nothing was changed" 1 "$(gate person list | wc -l)" ;;
	esac
	case $how in
	nopages) has "is said" "$W/err" 'does not give its answer in pages' ;;
	loop) has "is said" "$W/err" 'pages without end' ;;
	flood) has "is said" "$W/err" 'more than 200 entries' ;;
	cut) has "is said" "$W/err" "Can't contact|directory people" ;;
	endless) has "is said" "$W/err" 'a value of .* bytes|ends within a range' ;;
	ranges) check "all its members" 5 "$(gate person grants | grep -c 'for fake@here.test')" ;;
	esac
	process_down "$W/fake-$how" "$how"
done
uri=

# --- three thousand in pages
slapd_down "$W/slapd"
{
	printf 'dn: ou=crowd,%s\nobjectClass: organizationalUnit\nou: crowd\n\n' "$suffix"
	seq 0 2999 | sed "s/.*/dn: cn=m&,ou=crowd,$suffix\nobjectClass: inetOrgPerson\ncn: m&\nsn: x\nemployeeNumber: &\nmail: m&@here.test\n/"
	printf 'dn: cn=all,ou=groups,%s\nobjectClass: groupOfNames\ncn: all\n' "$suffix"
	seq 0 2999 | sed "s/.*/member: cn=m&,ou=crowd,$suffix/"
	echo
} >"$W/crowd.ldif"
slapadd -q -f "$W/slapd/slapd.conf" -l "$W/crowd.ldif" >>"$W/log" 2>&1 || { echo "FAILED: slapadd"; bad=1; }
slapd_start "$W/slapd" || exit 1
house crowd
groups="{ name = \"all\"; owner = \"all@here.test\"; filter = \"(cn=all)\"; }"
id= filter= base="ou=crowd,$suffix"
people 'page_size = 0;'
check "without pages the server gives 500" 75 "$(sync)"
people 'page_size = 500;'
process_up "$W/vault" vault "$SEALGATE_BUILD/sealgate-vault" -c "$gate/sealgate.conf" -f
wait_for 20 gate key list || { echo "FAILED: the vault does not answer"; cat "$W/vault/vault.log"; exit 1; }
# Stopped in the middle, it goes on where it was.
"$sealgate" -c "$gate/sealgate.conf" person sync >"$W/out" 2>"$W/err" &
echo $! >"$W/sync.pid"
wait_for 60 sh -c "[ \$(wc -l <'$W/out') -gt 100 ]" && stop_pid "$W/sync.pid"
some=$(count)
[ "$some" -gt 10 ] && [ "$some" -lt 3000 ] || { echo "FAILED: $some were made before the stop"; bad=1; }
check "three thousand, after a stop" 0 "$(sync)"
check "all of them" 3002 "$(count)"
check "and what they may read" 3000 "$(gate person grants | grep -c live)"
settle "three thousand"
seq 0 50 | sed "s/.*/cn=m&,ou=crowd,$suffix/" >"$W/gone"
ldapdelete -x -H "$(cat "$W/slapd/uri")" -D "cn=admin,$suffix" -w secret -f "$W/gone" >>"$W/log" 2>&1 || { echo "FAILED: ldapdelete"; bad=1; }
check "fifty-one leave at once" 75 "$(sync)"
has "fifty may" "$W/err" '51 of 3000 persons would leave at once'
check "these may" 0 "$(sync --leavers 51)"
check "missing" 51 "$(grep -c '^missing' "$W/out")"
process_down "$W/vault" vault
check "the ledger is whole" 0 "$(gate audit verify >/dev/null; echo $?)"
exit $bad
