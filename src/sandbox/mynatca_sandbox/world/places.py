"""NATCA's regions and the FAA facilities its members work at: public data, with ids of our own.

Codes are FAA location identifiers. The list need not be complete or current; what matters is that a code is real,
unique and in its region.
"""

from typing import Any, Final

REGIONS: Final[dict[str, str]] = {
    "AL": "Alaskan",
    "CE": "Central",
    "EA": "Eastern",
    "GL": "Great Lakes",
    "NE": "New England",
    "NM": "Northwest Mountain",
    "SO": "Southern",
    "SW": "Southwest",
    "WP": "Western Pacific",
    "RX": "Region X",
    "RNAV": "Retired Members",
}
RETIRED_CODE: Final = "RNAV"
"""Region and facility of everybody who has retired."""

_FACILITIES: Final[dict[str, str]] = {
    "AL": """
        ZAN Anchorage Center|A11 Anchorage TRACON|ANC Anchorage Tower|FAI Fairbanks Tower|JNU Juneau Tower
        MRI Merrill Tower|ENA Kenai Tower|BET Bethel Tower""",
    "CE": """
        ZKC Kansas City Center|MCI Kansas City Tower|STL St. Louis Tower|T75 St. Louis TRACON
        OMA Omaha Tower|R90 Omaha TRACON|DSM Des Moines Tower|ICT Wichita Tower
        MKC Kansas City Downtown Tower|SGF Springfield Tower|CID Cedar Rapids Tower|SUX Sioux City Tower
        ALO Waterloo Tower|LNK Lincoln Tower|SUS Spirit of St. Louis Tower|FOE Topeka Tower""",
    "EA": """
        ZNY New York Center|ZDC Washington Center|N90 New York TRACON|PCT Potomac TRACON|JFK Kennedy Tower
        LGA LaGuardia Tower|EWR Newark Tower|TEB Teterboro Tower|HPN Westchester Tower|ISP Islip Tower
        FRG Republic Tower|PHL Philadelphia Tower|PIT Pittsburgh Tower|IAD Dulles Tower
        DCA Washington National Tower|BWI Baltimore Tower|ADW Andrews Tower|ALB Albany Tower
        BUF Buffalo Tower|ROC Rochester Tower|SYR Syracuse Tower|BGM Binghamton Tower|ELM Elmira Tower
        RIC Richmond Tower|ORF Norfolk Tower|ROA Roanoke Tower|CRW Charleston Tower|CKB Clarksburg Tower
        HTS Huntington Tower|ABE Allentown Tower|AVP Wilkes-Barre Tower|MDT Harrisburg Tower|ERI Erie Tower
        RDG Reading Tower|ACY Atlantic City Tower|CDW Caldwell Tower|MMU Morristown Tower
        ILG Wilmington Tower|PNE Northeast Philadelphia Tower|PHF Newport News Tower""",
    "GL": """
        ZAU Chicago Center|ZMP Minneapolis Center|ZOB Cleveland Center|ZID Indianapolis Center
        C90 Chicago TRACON|D21 Detroit TRACON|M98 Minneapolis TRACON|ORD O'Hare Tower|MDW Midway Tower
        DPA DuPage Tower|PWK Chicago Executive Tower|RFD Rockford Tower|PIA Peoria Tower
        SPI Springfield Tower|CMI Champaign Tower|MLI Quad City Tower|IND Indianapolis Tower
        FWA Fort Wayne Tower|SBN South Bend Tower|EVV Evansville Tower|HUF Terre Haute Tower
        DTW Detroit Tower|YIP Willow Run Tower|FNT Flint Tower|GRR Grand Rapids Tower|LAN Lansing Tower
        AZO Kalamazoo Tower|MKG Muskegon Tower|MBS Saginaw Tower|MSP Minneapolis Tower|STP St. Paul Tower
        FCM Flying Cloud Tower|DLH Duluth Tower|RST Rochester Tower|FAR Fargo Tower|BIS Bismarck Tower
        GFK Grand Forks Tower|FSD Sioux Falls Tower|RAP Rapid City Tower|MKE Milwaukee Tower
        MSN Madison Tower|GRB Green Bay Tower|CLE Cleveland Tower|CMH Columbus Tower|DAY Dayton Tower
        CAK Akron-Canton Tower|TOL Toledo Tower|YNG Youngstown Tower|MFD Mansfield Tower""",
    "NE": """
        ZBW Boston Center|A90 Boston TRACON|Y90 Yankee TRACON|BOS Boston Tower|BDL Bradley Tower
        PVD Providence Tower|MHT Manchester Tower|PWM Portland Tower|BGR Bangor Tower|BTV Burlington Tower
        ASH Nashua Tower|BED Hanscom Tower|ACK Nantucket Tower|HYA Hyannis Tower""",
    "NM": """
        ZSE Seattle Center|ZLC Salt Lake Center|ZDV Denver Center|D01 Denver TRACON|S56 Salt Lake TRACON
        P80 Portland TRACON|S46 Seattle TRACON|DEN Denver Tower|APA Centennial Tower
        BJC Rocky Mountain Tower|COS Colorado Springs Tower|PUB Pueblo Tower|ASE Aspen Tower
        SLC Salt Lake City Tower|BOI Boise Tower|TWF Twin Falls Tower|BIL Billings Tower|HLN Helena Tower
        GTF Great Falls Tower|MSO Missoula Tower|PDX Portland Tower|HIO Hillsboro Tower|EUG Eugene Tower
        MFR Medford Tower|SEA Seattle Tower|BFI Boeing Field Tower|PAE Paine Tower|GEG Spokane Tower
        MWH Moses Lake Tower|PSC Pasco Tower|CPR Casper Tower""",
    "SO": """
        ZTL Atlanta Center|ZJX Jacksonville Center|ZMA Miami Center|ZME Memphis Center|ZSU San Juan Center
        A80 Atlanta TRACON|F11 Central Florida TRACON|P31 Pensacola TRACON|M03 Memphis TRACON
        ATL Atlanta Tower|PDK Peachtree Tower|FTY Fulton County Tower|SAV Savannah Tower|AGS Augusta Tower
        CSG Columbus Tower|CLT Charlotte Tower|RDU Raleigh-Durham Tower|GSO Greensboro Tower
        AVL Asheville Tower|FAY Fayetteville Tower|ILM Wilmington Tower|MIA Miami Tower
        FLL Fort Lauderdale Tower|FXE Executive Tower|PBI Palm Beach Tower|OPF Opa-locka Tower
        TMB Tamiami Tower|MCO Orlando Tower|SFB Sanford Tower|ORL Orlando Executive Tower|TPA Tampa Tower
        PIE St. Petersburg Tower|SRQ Sarasota Tower|RSW Fort Myers Tower|DAB Daytona Beach Tower
        JAX Jacksonville Tower|TLH Tallahassee Tower|PNS Pensacola Tower|BHM Birmingham Tower
        HSV Huntsville Tower|MOB Mobile Tower|MGM Montgomery Tower|JAN Jackson Tower|GPT Gulfport Tower
        MEM Memphis Tower|BNA Nashville Tower|TYS Knoxville Tower|CHA Chattanooga Tower|TRI Tri-Cities Tower
        SDF Louisville Tower|LEX Lexington Tower|CVG Cincinnati Tower|CHS Charleston Tower
        CAE Columbia Tower|GSP Greer Tower|MYR Myrtle Beach Tower|SJU San Juan Tower""",
    "SW": """
        ZFW Fort Worth Center|ZHU Houston Center|ZAB Albuquerque Center|D10 Dallas-Fort Worth TRACON
        I90 Houston TRACON|DFW Dallas-Fort Worth Tower|DAL Love Field Tower|AFW Alliance Tower
        FTW Meacham Tower|ADS Addison Tower|IAH Houston Intercontinental Tower|HOU Hobby Tower
        DWH Hooks Tower|AUS Austin Tower|SAT San Antonio Tower|CRP Corpus Christi Tower|HRL Harlingen Tower
        MAF Midland Tower|LBB Lubbock Tower|AMA Amarillo Tower|ABI Abilene Tower|ELP El Paso Tower
        GGG Longview Tower|ACT Waco Tower|LIT Little Rock Tower|FSM Fort Smith Tower
        XNA Northwest Arkansas Tower|MSY New Orleans Tower|NEW Lakefront Tower|BTR Baton Rouge Tower
        LFT Lafayette Tower|SHV Shreveport Tower|MLU Monroe Tower|LCH Lake Charles Tower
        ABQ Albuquerque Tower|ROW Roswell Tower|OKC Oklahoma City Tower|TUL Tulsa Tower|RVS Riverside Tower""",
    "WP": """
        ZLA Los Angeles Center|ZOA Oakland Center|HCF Honolulu Control Facility|ZUA Guam Center
        SCT Southern California TRACON|NCT Northern California TRACON|P50 Phoenix TRACON
        L30 Las Vegas TRACON|U90 Tucson TRACON|LAX Los Angeles Tower|SFO San Francisco Tower
        OAK Oakland Tower|SJC San Jose Tower|SMF Sacramento Tower|SAN San Diego Tower|BUR Burbank Tower
        VNY Van Nuys Tower|LGB Long Beach Tower|SNA John Wayne Tower|ONT Ontario Tower|CRQ Palomar Tower
        SBA Santa Barbara Tower|MYF Montgomery Tower|PHX Phoenix Tower|TUS Tucson Tower
        DVT Deer Valley Tower|SDL Scottsdale Tower|CHD Chandler Tower|FFZ Falcon Field Tower
        PRC Prescott Tower|LAS Las Vegas Tower|VGT North Las Vegas Tower|RNO Reno Tower|HNL Honolulu Tower
        OGG Maui Tower|FAT Fresno Tower|BFL Bakersfield Tower|MRY Monterey Tower|STS Sonoma Tower
        PAO Palo Alto Tower|HWD Hayward Tower|CCR Concord Tower|LVK Livermore Tower|TOA Torrance Tower
        SMO Santa Monica Tower|PSP Palm Springs Tower|CMA Camarillo Tower""",
    "RX": "DCC Command Center|AOS Operations Support|ASW Southwest Engineering",
    "RNAV": "RNAV Retired Members",
}


def region_rows() -> list[dict[str, Any]]:
    """Rows of the table `regions`."""
    return [{"id": id_, "code": code, "name": name} for id_, (code, name) in enumerate(REGIONS.items(), 1)]


def facility_rows() -> list[dict[str, Any]]:
    """Rows of the table `facilities`."""
    region_ids = {region["code"]: region["id"] for region in region_rows()}
    entries = [
        (region, *entry.strip().split(" ", 1))
        for region, block in _FACILITIES.items()
        for line in block.splitlines()
        for entry in line.split("|")
        if entry.strip()
    ]
    return [
        {"id": id_, "code": code, "name": name, "region_id": region_ids[region], "status": "Active"}
        for id_, (region, code, name) in enumerate(entries, 101)
    ]
