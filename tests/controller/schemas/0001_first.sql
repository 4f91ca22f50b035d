BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE assignments (
	request_id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	verb TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	overwrite BOOLEAN NOT NULL, 
	boot_id TEXT, 
	state TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (request_id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "assignments" VALUES('14d784a2-e534-48bf-a258-a07f9c1a4b7b:image.deploy:1','14d784a2-e534-48bf-a258-a07f9c1a4b7b','88c0061f-d45a-4ff2-89d7-950c71d23fe1','image.deploy',1,0,'2ca6221b-1433-4514-b06e-3ffa1653c177','open','2026-05-01 12:00:00.000000');
CREATE TABLE credentials (
	digest TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	request_id TEXT, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "credentials" VALUES('d40a834583cd0e20d5a30e63693bb15411f2d91b99cff551e58dd1994832705f','88c0061f-d45a-4ff2-89d7-950c71d23fe1','ramdisk',NULL);
CREATE TABLE flavors (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	cpu_arch TEXT NOT NULL, 
	cores INTEGER NOT NULL, 
	ram_mb INTEGER NOT NULL, 
	disks INTEGER NOT NULL, 
	disk_gb INTEGER NOT NULL, 
	disk_media TEXT, 
	nics INTEGER NOT NULL, 
	nic_mbps INTEGER, 
	firmware TEXT, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "flavors" VALUES('a87f330f-13a9-43eb-a517-5bb76562b295','small','x86_64',2,1024,1,10,NULL,1,NULL,NULL,'2026-05-01 12:00:00.000000');
CREATE TABLE images (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	format TEXT NOT NULL, 
	min_disk_gb INTEGER NOT NULL, 
	firmware TEXT NOT NULL, 
	agent BOOLEAN, 
	url TEXT, 
	sha256 TEXT NOT NULL, 
	file_bytes BIGINT, 
	size_bytes BIGINT, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "images" VALUES('30fcaf22-2046-409d-a33c-7b2e1c906eb1','debian','raw.zst',1,'both',1,'http://controller.example:8480/d','abababababababababababababababababababababababababababababababab',NULL,NULL,'2026-05-01 12:00:00.000000');
CREATE TABLE inventories (
	node_id TEXT NOT NULL, 
	inventory TEXT NOT NULL, 
	taken_at DATETIME NOT NULL, 
	PRIMARY KEY (node_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "inventories" VALUES('88c0061f-d45a-4ff2-89d7-950c71d23fe1','{"system":{"vendor":"Example","product":"Box","serial":"BOX1","uuid":"4c4c4544-0000-4000-8000-000000000001","firmware_vendor":null,"firmware_version":null,"firmware_date":null,"firmware_mode":"bios","asset_tag":null},"cpu":{"architecture":"x86_64","model":null,"sockets":null,"cores":4,"threads":8,"numa_nodes":null,"flags":[],"microcode":null,"max_mhz":null},"memory":{"total_bytes":4294967296,"physical_bytes":4294967296,"slots":null,"dimms":[]},"disks":[{"name":"sda","path":"/dev/sda","size_bytes":40000000000,"vendor":null,"model":null,"serial":"SN-sda","wwn":"0x5000000000736461","transport":"sata","rotational":false,"logical_sector_bytes":512,"physical_sector_bytes":512,"removable":false,"read_only":false,"by_path":null,"hctl":null,"firmware":null,"contents":[],"users":[]},{"name":"sdb","path":"/dev/sdb","size_bytes":80000000000,"vendor":null,"model":null,"serial":"SN-sdb","wwn":"0x5000000000736462","transport":"sata","rotational":false,"logical_sector_bytes":512,"physical_sector_bytes":512,"removable":false,"read_only":false,"by_path":null,"hctl":null,"firmware":null,"contents":[],"users":[]}],"nics":[{"name":"eno1","mac":"52:54:00:00:01:01","current_mac":"52:54:00:00:01:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null},{"name":"eno2","mac":"52:54:00:00:02:01","current_mac":"52:54:00:00:02:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null}]}','2026-05-01 12:00:00.000000');
CREATE TABLE jobs (
	id TEXT NOT NULL, 
	operation TEXT NOT NULL, 
	hard BOOLEAN NOT NULL, 
	node_id TEXT NOT NULL, 
	server_id TEXT, 
	status TEXT NOT NULL, 
	stage TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	phase_at DATETIME NOT NULL, 
	boot_id TEXT, 
	request_id TEXT, 
	power_wanted TEXT, 
	power_at DATETIME, 
	fault TEXT, 
	begun_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id), 
	FOREIGN KEY(server_id) REFERENCES servers (id)
);
INSERT INTO "jobs" VALUES('14d784a2-e534-48bf-a258-a07f9c1a4b7b','create',0,'88c0061f-d45a-4ff2-89d7-950c71d23fe1','588791af-5100-40d9-8ae8-15fa61ae3a2b','RUNNING','ramdisk','write_image','2026-05-01 12:00:00.000000','2ca6221b-1433-4514-b06e-3ffa1653c177','14d784a2-e534-48bf-a258-a07f9c1a4b7b:image.deploy:1',NULL,NULL,NULL,'2026-05-01 12:00:00.000000',NULL);
CREATE TABLE keypairs (
	name TEXT NOT NULL, 
	public_key TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "keypairs" VALUES('me','ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f someone@example','SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA','2026-05-01 12:00:00.000000');
CREATE TABLE node_macs (
	mac TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	PRIMARY KEY (mac), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "node_macs" VALUES('52:54:00:00:01:01','88c0061f-d45a-4ff2-89d7-950c71d23fe1');
INSERT INTO "node_macs" VALUES('52:54:00:00:02:01','88c0061f-d45a-4ff2-89d7-950c71d23fe1');
CREATE TABLE nodes (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	boot_mac TEXT NOT NULL, 
	state TEXT NOT NULL, 
	maintenance BOOLEAN NOT NULL, 
	clean BOOLEAN NOT NULL, 
	boot_target TEXT NOT NULL, 
	power TEXT NOT NULL, 
	bmc TEXT, 
	fault TEXT, 
	server_id TEXT, 
	job_id TEXT, 
	session_id TEXT, 
	controller_url TEXT NOT NULL, 
	generation INTEGER NOT NULL, 
	desired_digest TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	UNIQUE (identity), 
	UNIQUE (server_id)
);
INSERT INTO "nodes" VALUES('88c0061f-d45a-4ff2-89d7-950c71d23fe1','node-525400000101','smbios:4c4c4544-0000-4000-8000-000000000001','52:54:00:00:01:01','deploying',0,0,'ramdisk','On',NULL,NULL,'588791af-5100-40d9-8ae8-15fa61ae3a2b','14d784a2-e534-48bf-a258-a07f9c1a4b7b','bbb2ef76-c5fa-450d-8c82-cc723c122d5a','http://controller.example:8480',2,'4a062f3542fa850454afcdee327fb8f48bcd238356bc6b75c5f6555d82e680f8','2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000');
CREATE TABLE phases (
	id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	began_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "phases" VALUES('14d784a2-e534-48bf-a258-a07f9c1a4b7b:0000','14d784a2-e534-48bf-a258-a07f9c1a4b7b',0,'waiting for the agent','2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000');
INSERT INTO "phases" VALUES('14d784a2-e534-48bf-a258-a07f9c1a4b7b:0001','14d784a2-e534-48bf-a258-a07f9c1a4b7b',1,'write_image','2026-05-01 12:00:00.000000',NULL);
CREATE TABLE ports (
	id TEXT NOT NULL, 
	server_id TEXT NOT NULL, 
	subnet_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	mac TEXT NOT NULL, 
	address TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (subnet_id, address), 
	FOREIGN KEY(server_id) REFERENCES servers (id), 
	FOREIGN KEY(subnet_id) REFERENCES subnets (id)
);
INSERT INTO "ports" VALUES('f0273909-fa7c-4f7f-9483-649855f466a1','588791af-5100-40d9-8ae8-15fa61ae3a2b','435584ca-3b13-466e-91db-fc198db99ab1',0,'52:54:00:00:01:01','10.1.0.2');
CREATE TABLE servers (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	status TEXT NOT NULL, 
	task_state TEXT, 
	flavor_id TEXT NOT NULL, 
	image_id TEXT NOT NULL, 
	key_name TEXT, 
	user_data TEXT, 
	metadata TEXT NOT NULL, 
	root_device TEXT, 
	disk TEXT NOT NULL, 
	node_id TEXT, 
	job_id TEXT, 
	owns_disk BOOLEAN NOT NULL, 
	deploy_id TEXT, 
	phone_home TEXT, 
	boot_proof TEXT, 
	machine_id TEXT, 
	fault TEXT, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	launched_at DATETIME, 
	deleted_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "servers" VALUES('588791af-5100-40d9-8ae8-15fa61ae3a2b','web','BUILD','building','a87f330f-13a9-43eb-a517-5bb76562b295','30fcaf22-2046-409d-a33c-7b2e1c906eb1','me',NULL,'{}',NULL,'{"serial":"SN-sda","wwn":"0x5000000000736461","by_path":null,"size_bytes":40000000000}','88c0061f-d45a-4ff2-89d7-950c71d23fe1','14d784a2-e534-48bf-a258-a07f9c1a4b7b',1,'14d784a2-e534-48bf-a258-a07f9c1a4b7b:image.deploy:1',NULL,NULL,NULL,NULL,'2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000',NULL,NULL);
CREATE TABLE sessions (
	session_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	boot_id TEXT NOT NULL, 
	agent_version TEXT NOT NULL, 
	opened_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	heartbeat_at DATETIME, 
	sequence INTEGER NOT NULL, 
	applied_generation INTEGER NOT NULL, 
	network TEXT, 
	progress TEXT, 
	problems TEXT NOT NULL, 
	PRIMARY KEY (session_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "sessions" VALUES('bbb2ef76-c5fa-450d-8c82-cc723c122d5a','88c0061f-d45a-4ff2-89d7-950c71d23fe1','ramdisk','2ca6221b-1433-4514-b06e-3ffa1653c177','1','2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000',1,0,'{"nics":[{"name":"eno1","mac":"52:54:00:00:01:01","current_mac":"52:54:00:00:01:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null},{"name":"eno2","mac":"52:54:00:00:02:01","current_mac":"52:54:00:00:02:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null}]}',NULL,'[]');
CREATE TABLE streams (
	stream_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	acknowledged INTEGER NOT NULL, 
	PRIMARY KEY (stream_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "streams" VALUES('21ce6c35-7e28-4728-bf7b-1e8dec83d47c','88c0061f-d45a-4ff2-89d7-950c71d23fe1',1);
CREATE TABLE subnets (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	vpc_id TEXT NOT NULL, 
	cidr TEXT NOT NULL, 
	gateway TEXT NOT NULL, 
	dns TEXT NOT NULL, 
	mtu INTEGER, 
	dhcp BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	FOREIGN KEY(vpc_id) REFERENCES vpcs (id)
);
INSERT INTO "subnets" VALUES('435584ca-3b13-466e-91db-fc198db99ab1','net','a91e68ec-ca5e-45f8-a1de-1b4167240705','10.1.0.0/24','10.1.0.1','["10.1.0.254"]',NULL,0,'2026-05-01 12:00:00.000000');
CREATE TABLE tokens (
	digest TEXT NOT NULL, 
	mac TEXT NOT NULL, 
	expires_at DATETIME NOT NULL, 
	boot_id TEXT, 
	identity TEXT, 
	PRIMARY KEY (digest)
);
INSERT INTO "tokens" VALUES('adf9889fa253b3521131a76c2d3913bfb1466c556fab7a31d9a5b765c9c255ba','52:54:00:00:01:01','2026-05-01 13:00:00.000000','2ca6221b-1433-4514-b06e-3ffa1653c177','smbios:4c4c4544-0000-4000-8000-000000000001');
CREATE TABLE vpcs (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	cidr TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "vpcs" VALUES('a91e68ec-ca5e-45f8-a1de-1b4167240705','cloud','10.0.0.0/8','2026-05-01 12:00:00.000000');
CREATE INDEX ix_node_macs_node_id ON node_macs (node_id);
CREATE INDEX ix_sessions_node_id ON sessions (node_id);
CREATE INDEX ix_credentials_node_id ON credentials (node_id);
CREATE INDEX ix_ports_server_id ON ports (server_id);
CREATE INDEX ix_jobs_server_id ON jobs (server_id);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE INDEX ix_phases_job_id ON phases (job_id);
CREATE INDEX ix_assignments_job_id ON assignments (job_id);
COMMIT;
