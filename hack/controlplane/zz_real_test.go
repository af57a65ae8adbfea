package controlplane
import ("testing";"os";"fmt";"time")
func TestReal(t *testing.T) {
 p, err := newProvisioner(os.Stdout); if err != nil { t.Fatal(err) }
 p.bin = "/tmp/realbin"; p.heartbeat = 5*time.Second
 b, err := p.provision(t.Context(), etcdBinary, apiServerBinary, kubectlBinary, controllerBinary)
 fmt.Println(b, err)
}
