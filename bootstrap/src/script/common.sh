# lim SECONDS COMMAND...: the command, stopped with all that it started after that time, where the host can do that.
if command -v timeout >/dev/null 2>&1; then
lim() { lim_s=$1; shift; timeout -k 5 "$lim_s" "$@"; }
else
lim() { shift; "$@"; }
fi
# home USER
home() { getent passwd "$1" | cut -d: -f6; }
