package evaluate

// slotKey is a rules.SlotKey; parts that are empty may be left out.
type slotKey struct {
	Protocol   string `json:"protocol,omitempty"`
	Address    string `json:"address,omitempty"`
	ServerName string `json:"server_name,omitempty"`
	Security   string `json:"security,omitempty"`
	Authority  string `json:"authority,omitempty"`
}
