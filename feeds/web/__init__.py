"""Sources that are asked over the network: exchanges and public pages, akshare, tushare, URLs of snapshots."""
