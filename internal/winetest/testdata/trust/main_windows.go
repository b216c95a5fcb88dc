// Trust adds certificates, as DER files, to the authorities that Windows
// programs of this user trust.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := trust(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func trust(name string) error {
	der, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	root, err := windows.UTF16PtrFromString("Root")
	if err != nil {
		return err
	}
	store, err := windows.CertOpenSystemStore(0, root)
	if err != nil {
		return fmt.Errorf("open the root store: %w", err)
	}
	defer windows.CertCloseStore(store, 0)
	cert, err := windows.CertCreateCertificateContext(windows.X509_ASN_ENCODING, &der[0], uint32(len(der)))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer windows.CertFreeCertificateContext(cert)
	if err := windows.CertAddCertificateContextToStore(store, cert, windows.CERT_STORE_ADD_REPLACE_EXISTING, nil); err != nil {
		return fmt.Errorf("add %s to the root store: %w", name, err)
	}
	return nil
}
