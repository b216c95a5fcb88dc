// wpcap.dll as Npcap installs it, in System32\Npcap, over Wine's own in
// System32, which captures through the host's libpcap. What Wine's lacks is
// made here, and a read without packets ends after its timeout.

#include <windows.h>

typedef void *(*function)(void *, void *, void *, void *, void *, void *);

static function builtin(const char *name)
{
    static HMODULE module;
    if (!module) module = LoadLibraryA("C:\\windows\\system32\\wpcap.dll");
    return module ? (function)GetProcAddress(module, name) : NULL;
}

#define EXPORT __declspec(dllexport)

// FORWARD passes a call on; every argument is a number or a pointer.
#define FORWARD(name)                                                          \
    EXPORT void *name(void *a, void *b, void *c, void *d, void *e, void *f)    \
    {                                                                          \
        static function to;                                                    \
        if (!to) to = builtin(#name);                                          \
        return to ? to(a, b, c, d, e, f) : (void *)-1;                         \
    }

FORWARD(pcap_breakloop)
FORWARD(pcap_can_set_rfmon)
FORWARD(pcap_compile)
FORWARD(pcap_create)
FORWARD(pcap_datalink)
FORWARD(pcap_datalink_name_to_val)
FORWARD(pcap_datalink_val_to_description)
FORWARD(pcap_datalink_val_to_name)
FORWARD(pcap_findalldevs)
FORWARD(pcap_free_datalinks)
FORWARD(pcap_freealldevs)
FORWARD(pcap_freecode)
FORWARD(pcap_geterr)
FORWARD(pcap_lib_version)
FORWARD(pcap_list_datalinks)
FORWARD(pcap_lookupnet)
FORWARD(pcap_offline_filter)
FORWARD(pcap_open_live)
FORWARD(pcap_sendpacket)
FORWARD(pcap_set_buffer_size)
FORWARD(pcap_set_datalink)
FORWARD(pcap_set_promisc)
FORWARD(pcap_set_snaplen)
FORWARD(pcap_setfilter)
FORWARD(pcap_snapshot)
FORWARD(pcap_stats)
FORWARD(pcap_statustostr)
FORWARD(pcap_strerror)

// What nobody here calls, but must be there.
EXPORT int pcap_setdirection(void *p, int direction) { return -1; }
EXPORT void *pcap_open_offline(const char *name, char *error) { lstrcpyA(error, "not under Wine"); return NULL; }
EXPORT void *pcap_hopen_offline(void *file, char *error) { lstrcpyA(error, "not under Wine"); return NULL; }
EXPORT void *pcap_open_dead(int link, int length) { return NULL; }

// Wine's next_ex waits until a packet comes. Here handles do not block, and
// next_ex waits as long as their timeouts say.
#define HANDLES 64
static struct handle { void *p; int timeout; } handles[HANDLES];

static struct handle *find(void *p, BOOL add)
{
    for (int i = 0; i < HANDLES; i++)
        if (handles[i].p == p) return &handles[i];
    for (int i = 0; add && i < HANDLES; i++)
        if (!InterlockedCompareExchangePointer(&handles[i].p, p, NULL)) return &handles[i];
    return NULL;
}

EXPORT int pcap_set_timeout(void *p, int ms)
{
    struct handle *h = find(p, TRUE);
    if (h) h->timeout = ms;
    return (int)(INT_PTR)builtin("pcap_set_timeout")(p, (void *)(INT_PTR)ms, 0, 0, 0, 0);
}

EXPORT int pcap_activate(void *p)
{
    int result = (int)(INT_PTR)builtin("pcap_activate")(p, 0, 0, 0, 0, 0);
    char error[256];
    if (result >= 0) builtin("pcap_setnonblock")(p, (void *)1, error, 0, 0, 0);
    return result;
}

EXPORT int pcap_next_ex(void *p, void *header, void *data)
{
    static function next;
    if (!next) next = builtin("pcap_next_ex");
    struct handle *h = find(p, FALSE);
    DWORD begin = GetTickCount(), timeout = h ? h->timeout : 0;
    for (;;) {
        int result = (int)(INT_PTR)next(p, header, data, 0, 0, 0);
        if (result || GetTickCount() - begin >= timeout) return result;
        Sleep(1);
    }
}

EXPORT void pcap_close(void *p)
{
    struct handle *h = find(p, FALSE);
    if (h) h->p = NULL;
    builtin("pcap_close")(p, 0, 0, 0, 0, 0);
}
