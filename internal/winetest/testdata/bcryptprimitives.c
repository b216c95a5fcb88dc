// bcryptprimitives.dll for a Wine that has none: Go programs take their random
// numbers from ProcessPrng, and load this DLL before anything else.
//
// It also replaces, in the export tables through which Go finds them, three
// functions that Wine 8 answers otherwise than any Windows:
//   - NtSetInformationFile fails for FileDispositionInformationEx with
//     STATUS_NOT_IMPLEMENTED, which is none of the codes after which os.Remove
//     tries the older way;
//   - NtQueryInformationProcess lacks ProcessCommandLineInformation, which is
//     in Windows since 8.1;
//   - CreateSymbolicLinkW succeeds and makes nothing. Here it fails as for a
//     user without the right to make links.

#include <windows.h>
#include <winternl.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    while (size > 0) {
        ULONG n = size > 0x10000000 ? 0x10000000 : (ULONG)size;
        if (!SystemFunction036(data, n)) return FALSE;
        data += n;
        size -= n;
    }
    return TRUE;
}

#define FILE_DISPOSITION_INFORMATION_EX 64
#define NOT_IMPLEMENTED ((NTSTATUS)0xC0000002)
#define INVALID_INFO_CLASS ((NTSTATUS)0xC0000003)

#define COMMAND_LINE_INFORMATION 60
#define INFO_LENGTH_MISMATCH ((NTSTATUS)0xC0000004)

typedef NTSTATUS(NTAPI *query_process)(HANDLE, ULONG, PVOID, ULONG, PULONG);
static query_process real_query;

// query tells a process's command line as ProcessCommandLineInformation does:
// the string behind the structure that points to it.
static NTSTATUS NTAPI query(HANDLE process, ULONG class, PVOID info, ULONG size, PULONG need)
{
    NTSTATUS status = real_query(process, class, info, size, need);
    if (class != COMMAND_LINE_INFORMATION || status != INVALID_INFO_CLASS) return status;
    PROCESS_BASIC_INFORMATION basic;
    if ((status = real_query(process, 0, &basic, sizeof basic, NULL))) return status;
    HANDLE h = OpenProcess(PROCESS_VM_READ, FALSE, (DWORD)basic.UniqueProcessId);
    PEB peb;
    RTL_USER_PROCESS_PARAMETERS parameters;
    UNICODE_STRING *line = info;
    BOOL ok = h && ReadProcessMemory(h, basic.PebBaseAddress, &peb, sizeof peb, NULL) &&
              ReadProcessMemory(h, peb.ProcessParameters, &parameters, sizeof parameters, NULL);
    if (ok) {
        ULONG total = sizeof *line + parameters.CommandLine.Length;
        if (need) *need = total;
        if (size < total) {
            status = INFO_LENGTH_MISMATCH;
        } else {
            line->Length = line->MaximumLength = parameters.CommandLine.Length;
            line->Buffer = (WCHAR *)(line + 1);
            ok = ReadProcessMemory(h, parameters.CommandLine.Buffer, line->Buffer, line->Length, NULL);
        }
    }
    if (h) CloseHandle(h);
    return ok ? status : INVALID_INFO_CLASS;
}

typedef NTSTATUS(NTAPI *set_information)(HANDLE, PIO_STATUS_BLOCK, PVOID, ULONG, ULONG);
static set_information real;

static NTSTATUS NTAPI mended(HANDLE file, PIO_STATUS_BLOCK io, PVOID info, ULONG size, ULONG class)
{
    NTSTATUS status = real(file, io, info, size, class);
    if (class == FILE_DISPOSITION_INFORMATION_EX && status == NOT_IMPLEMENTED) status = INVALID_INFO_CLASS;
    return status;
}

static BOOLEAN WINAPI refused(const WCHAR *link, const WCHAR *target, DWORD flags)
{
    SetLastError(ERROR_PRIVILEGE_NOT_HELD);
    return FALSE;
}

// trampoline puts a jump to target into memory that an export table, which
// counts 32 bits from its module's base, can point to.
static BYTE *trampoline(BYTE *base, void *target)
{
    for (SIZE_T at = 0x1000000; at < 0x70000000; at += 0x100000) {
        BYTE *code = VirtualAlloc(base + at, 4096, MEM_COMMIT | MEM_RESERVE, PAGE_EXECUTE_READWRITE);
        if (!code) continue;
        code[0] = 0x48, code[1] = 0xb8; // mov rax, target
        *(void **)(code + 2) = target;
        code[10] = 0xff, code[11] = 0xe0; // jmp rax
        return code;
    }
    return NULL;
}

// replace puts a function into a module's export table and returns the one
// that was there.
static void *replace(const char *module, const char *name, void *with)
{
    BYTE *base = (BYTE *)GetModuleHandleA(module);
    IMAGE_NT_HEADERS *nt = (IMAGE_NT_HEADERS *)(base + ((IMAGE_DOS_HEADER *)base)->e_lfanew);
    IMAGE_EXPORT_DIRECTORY *dir = (IMAGE_EXPORT_DIRECTORY *)(base + nt->OptionalHeader.DataDirectory[0].VirtualAddress);
    DWORD *names = (DWORD *)(base + dir->AddressOfNames), *functions = (DWORD *)(base + dir->AddressOfFunctions);
    WORD *ordinals = (WORD *)(base + dir->AddressOfNameOrdinals);
    for (DWORD i = 0; i < dir->NumberOfNames; i++) {
        if (lstrcmpA((char *)base + names[i], name)) continue;
        DWORD *entry = &functions[ordinals[i]], old;
        void *was = base + *entry;
        BYTE *code = trampoline(base, with);
        if (code && VirtualProtect(entry, sizeof *entry, PAGE_READWRITE, &old)) {
            *entry = (DWORD)(code - base);
            VirtualProtect(entry, sizeof *entry, old, &old);
        }
        return was;
    }
    return NULL;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved)
{
    if (reason == DLL_PROCESS_ATTACH) {
        real = (set_information)replace("ntdll.dll", "NtSetInformationFile", mended);
        real_query = (query_process)replace("ntdll.dll", "NtQueryInformationProcess", query);
        replace("kernel32.dll", "CreateSymbolicLinkW", refused);
    }
    return TRUE;
}
