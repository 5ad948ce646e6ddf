#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Serves a page on port 22 (for hostfwd=...-:22) until somebody fetches /cgi-bin/done, or bhseconds
# (default 120) are over. Prints HOSTFWD ready, HOSTFWD done.
mkdir -p /tmp/www/cgi-bin
echo "hello from the guest" >/tmp/www/hello
head -c 1000000 /bin/busybox >/tmp/www/blob
sha256sum /tmp/www/blob | cut -d' ' -f1 >/tmp/www/blob.sha256
printf '#!/bin/sh\ntouch /tmp/done\nprintf "Content-Type: text/plain\\r\\n\\r\\nbye\\n"\n' >/tmp/www/cgi-bin/done
chmod +x /tmp/www/cgi-bin/done
httpd -p 22 -h /tmp/www
nc -lk -p 23 -e echo "hello from port 23" 2>/dev/null &
echo "HOSTFWD ready"
n=0
while [ ! -e /tmp/done ]; do
    n=$((n + 1))
    [ $n -lt "${bhseconds:-120}" ] || exit 1
    sleep 1
done
echo "HOSTFWD done"
