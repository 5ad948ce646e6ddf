/* SPDX-License-Identifier: Apache-2.0 */
/* Guest program: sends one datagram on the given port back to where it came from. */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET}, from;
    socklen_t len = sizeof from;
    char buf[2048];

    a.sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "7"));
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof a))
        return 1;
    ssize_t n = recvfrom(s, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
    return n < 0 || sendto(s, buf, (size_t)n, 0, (struct sockaddr *)&from, len) != n;
}
