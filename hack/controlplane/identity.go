// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// The users who are there before there are ServiceAccounts. The bootstrap policy of RBAC gives the second what it needs to
// give each controller a ServiceAccount.
const (
	adminUser             = "admin"
	controllerManagerUser = "system:kube-controller-manager"
)

// identity is who the API server is, and who may come to it.
type identity struct {
	certificate                        []byte
	adminToken, controllerManagerToken string
}

// newIdentity makes keys, a certificate and tokens, and writes them to the folder of kube-apiserver.
func (cp *ControlPlane) newIdentity() error {
	certificate, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		return err
	}
	signing, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return err
	}
	cp.identity = identity{certificate: certificate, adminToken: rand.Text(), controllerManagerToken: rand.Text()}
	tokens := fmt.Sprintf("%s,%s,%s,system:masters\n%s,%s,%[5]s\n",
		cp.adminToken, adminUser, adminUser, cp.controllerManagerToken, controllerManagerUser)
	for path, data := range map[string][]byte{
		cp.certificatePath(): certificate, cp.privateKeyPath(): key, cp.signingKeyPath(): signing, cp.tokensPath(): []byte(tokens),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (cp *ControlPlane) certificatePath() string { return filepath.Join(cp.apiServerDir(), "tls.crt") }
func (cp *ControlPlane) privateKeyPath() string  { return filepath.Join(cp.apiServerDir(), "tls.key") }
func (cp *ControlPlane) signingKeyPath() string {
	return filepath.Join(cp.apiServerDir(), "signing.key")
}
func (cp *ControlPlane) tokensPath() string { return filepath.Join(cp.apiServerDir(), "tokens.csv") }

// config returns the configuration of a client with this token. It does not limit its own rate, which a negative QPS means.
func (cp *ControlPlane) config(token string) *rest.Config {
	return &rest.Config{Host: "https://" + cp.address, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: cp.certificate}}
}
